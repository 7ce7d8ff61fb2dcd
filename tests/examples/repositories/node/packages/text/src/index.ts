/** The text without surrounding space, and with single spaces within. */
export function tidy(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}
