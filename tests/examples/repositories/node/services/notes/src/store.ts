export interface Note {
  readonly id: number;
  readonly title: string;
}

/** All notes, in memory. */
export class Store {
  readonly #notes: Note[] = [];

  add(title: string): Note {
    const note = { id: this.#notes.length + 1, title };
    this.#notes.push(note);
    return note;
  }

  all(): readonly Note[] {
    return this.#notes;
  }
}
