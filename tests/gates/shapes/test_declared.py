"""What source files declare."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.gates.shapes.declared import EXTRACTORS, declared_shapes, named_files
from agentflow.gates.shapes.shape import MAX_SHAPES, Shape
from agentflow.records import Json
from agentflow.strict_yaml import parse_yaml
from tests.growth import check_growth, repeated

STRING = {"type": "string"}
DTO = """import { IsString } from 'class-validator'
export enum Kind { A = 'a', B = "b" }
@Injectable()
export class MailService { private x = 1; name: string }
export class CreateMailDto extends PartialType(BaseDto) {
  @ApiProperty({ description: '}', required: false })
  @IsNumber()
  readonly to!: string
  @IsOptional() @IsArray() @IsString({ each: true }) tags?: any;
  @ValidateNested() @Type(() => Item) items: Item[]
  @IsEnum(Kind) kind: Kind = Kind.A
  @IsIn(['x', 'y']) way: string; // not this: string
  private secret = { a: 1 };
  constructor(private readonly y: string) { super() }
  get foo(): string { return "a"; }
}
interface Item extends Base { id: number; fn(a: string): void; m: Record<string, number> }
type Page<T> = { items: T[] } & Base
"""
ZOD = """import { z } from "zod";
export const mail = z.object({ to: z.string().email(), tags: z.array(z.string()).optional(),
  kind: z.enum(['a', 'b']).default('a'), n: z.coerce.number().int(), o: other.nullable(),
  x: z.union([z.string(), z.number()]), y: z.optional(z.string()), f: make(1) });
export const more = mail.extend({ z: z.boolean() }).partial();
"""
PYDANTIC = '''class Kind(str, Enum):
    A = "a"
class Mail(BaseModel):
    """A mail."""
    model_config = ConfigDict(alias_generator=to_camel)
    sent_to: str
    tags: list[str] | None = None
    kind: Kind = Field(..., description="x")
    number: Optional[int]
    a: Annotated[str, Field()] = Field(alias="b")
    _hidden: int
class More(Mail):
    way: Literal["x", "y"] = "x"
class Other:
    x: int
'''
OPENAPI = """openapi: 3.0.0
paths:
  /v1/mails:
    post:
      requestBody:
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Mail'}
      responses:
        '400': {description: no}
        '201': {content: {application/json: {schema: {type: array, items: {type: integer}}}}}
components:
  schemas:
    Mail:
      type: object
      required: [to]
      properties:
        to: {type: string, nullable: true}
"""


def by_name(path: str, text: str) -> dict[str, Shape]:
    found = {shape.name or shape.direction: shape for shape in declared_shapes(path, text)}
    assert {shape.path for shape in found.values()} == {path}
    return found


def properties(shape: Shape) -> Json:
    return shape.schema["properties"]


def test_classes_interfaces_types_and_enums_of_typescript() -> None:
    found = by_name("src/mail.dto.ts", DTO)

    assert {name: (shape.kind, shape.line) for name, shape in found.items()} == {
        "Kind": ("enum", 2),
        "CreateMailDto": ("class", 5),
        "Item": ("interface", 17),
        "Page": ("interface", 18),
    }
    mail = found["CreateMailDto"]
    assert properties(mail) == {
        "to": {"type": "number"},
        "tags": {"type": "array", "items": STRING},
        "items": {"type": "array", "items": {"$ref": "Item"}},
        "kind": {"$ref": "Kind", "default": True},
        "way": {"type": "string", "enum": ["x", "y"]},
    }
    assert mail.schema["required"] == ["items", "way"]
    assert mail.schema["allOf"] == [{"$ref": "BaseDto", "$comment": "partial"}]
    assert list(properties(found["Item"])) == ["id", "m"]
    assert found["Kind"].schema["enum"] == ["a", "b"]


@pytest.mark.parametrize("pattern", [r"/\(/", r"/\)/", r"/['\"]/i", r"/[{`]/"])
def test_brackets_and_quotes_of_patterns_are_no_brackets(pattern: str) -> None:
    text = f"class ADto {{ @Matches({pattern}) a: string; b = {pattern}; c: number }}"
    (shape,) = declared_shapes("a.ts", text)
    assert list(properties(shape)) == ["a", "b", "c"]


def test_a_stray_bracket_costs_no_class() -> None:
    text = "class ADto { a: string ) ; c: number }\nclass BDto { b: string }"
    assert set(by_name("a.ts", text)) == {"ADto", "BDto"}


def test_objects_of_zod() -> None:
    found = by_name("mail.mjs", ZOD)

    mail = found["mail"]
    assert (mail.kind, mail.line) == ("zod", 2)
    assert mail.schema["required"] == ["to", "n", "o", "x", "f"]
    assert properties(mail)["kind"] == {"type": "string", "enum": ["a", "b"], "default": True}
    assert properties(mail)["o"] == {"anyOf": [{"$ref": "other"}, {"type": "null"}]}
    assert properties(mail)["f"] == {}
    assert found["more"].schema["allOf"][0]["$comment"] == "partial"


def test_models_of_pydantic() -> None:
    found = by_name("mail.py", PYDANTIC)

    assert {name: (shape.kind, shape.line) for name, shape in found.items()} == {
        "Kind": ("enum", 1),
        "Mail": ("Pydantic", 3),
        "More": ("Pydantic", 12),
    }
    assert list(properties(found["Mail"])) == ["sentTo", "tags", "kind", "number", "b"]
    assert found["Mail"].schema["required"] == ["sentTo", "kind", "number", "b"]
    assert properties(found["More"])["way"]["enum"] == ["x", "y"]
    assert found["More"].schema["allOf"] == [{"$ref": "Mail"}]


@pytest.mark.parametrize("path", ["api.yaml", "api.json"])
def test_components_and_bodies_of_openapi(path: str) -> None:
    text = OPENAPI if path == "api.yaml" else json.dumps(parse_yaml(OPENAPI).value, indent=1)
    found = by_name(path, text)

    assert set(found) == {"Mail", "request", "response"}
    assert found["request"].schema == {"$ref": "Mail"}
    assert found["request"].endpoint == "POST /v1/mails"
    assert found["response"].schema == {"type": "array", "items": {"type": "number"}}
    assert properties(found["Mail"])["to"]["anyOf"] == [STRING, {"type": "null"}]
    line = text.split("\n")[found["Mail"].line - 1]
    assert line.strip().strip('"').startswith("Mail")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "class A(BaseModel):\n  x: ("),
        ("a.rs", "struct A { a: u8 }"),
        ("a.json", '{"openapi": "3", "openapi": "3"}'),
        ("a.json", '{"openapi": "3", "paths": [], "components": {"schemas": 1}}'),
        ("a.yaml", "openapi: *a"),
        ("a.ts", "class ADto { a: "),
        ("a.ts", "const a = z.object({ a: "),
    ],
)
def test_what_cannot_be_read_declares_nothing(path: str, text: str) -> None:
    assert declared_shapes(path, text) == []


def test_files_that_a_file_imports() -> None:
    script = "import {A} from './mail.dto'\nimport x from 'zod'\nconst b = require('../b.js')"
    assert {"src/mail.dto.ts", "b.ts", "b.js"} <= set(named_files("src/a.ts", script))
    assert "../x.ts" not in set(named_files("src/a.ts", script))
    python = "from .schemas import A\nfrom app.models import B\nimport os\n"
    assert list(named_files("app/api.py", python)) == [
        "app/schemas.py",
        "app/models.py",
        "app/os.py",
    ]


@given(
    st.sampled_from(sorted(EXTRACTORS)),
    st.lists(
        st.sampled_from([
            *"{}[]()<>:?,|&=@.;!\n '\"", "class ADto ", "interface A ", "type A ", "enum A ", "const a = z.",
            "object(", "string()", "array(", "a", "extends ", "openapi", "class A(BaseModel):\n  ",
        ]),
        max_size=60,
    ),
)  # fmt: skip
def test_no_source_crashes(suffix: str, pieces: list[str]) -> None:
    assert len(declared_shapes(f"a{suffix}", "".join(pieces))) <= MAX_SHAPES


@pytest.mark.parametrize("suffix", [".ts", ".py", ".json", ".yaml"])
@pytest.mark.parametrize(
    "piece",
    ["{", "class A{a:string}\n", "class ADto{ ", "@a(", "type A = B<", "{a:1}|", "/*", '"a', "`",
     "const a = z.object({a:", "const a = z.string().", '{"openapi":', "openapi: 3\n",
     "class A(BaseModel):\n  a: int\n", "a|", "from './a' "],
)  # fmt: skip
def test_time_grows_with_the_length_only(suffix: str, piece: str) -> None:
    text = repeated(piece)
    check_growth(
        lambda given: declared_shapes(f"a{suffix}", given),
        lambda size: f"openapi: 3\nclass zod {text(size)}",
        64 * 1024,
    )
