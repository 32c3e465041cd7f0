"""JSON Schema, as far as tinynet's own uses it."""

KEYWORDS = {
    "$schema", "$defs", "title", "description", "default", "$ref", "anyOf", "enum", "const", "type", "properties",
    "required", "additionalProperties", "minProperties", "maxProperties", "items", "prefixItems", "minItems",
    "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def conforms(value, schema, root):
    """Whether a value fits a JSON Schema, as far as its keywords are those that tinynet's schema uses."""
    assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in schema and not any(conforms(value, one, root) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return (
            set(schema.get("required", ())) <= set(value)
            and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 99)
            and (schema.get("additionalProperties", True) or set(value) <= set(known))
            and all(conforms(value[key], known[key], root) for key in value if key in known)
        )
    if isinstance(value, list):
        firsts = schema.get("prefixItems", [])
        return (
            schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
            and all(conforms(item, one, root) for item, one in zip(value, firsts, strict=False))
            and all(conforms(item, schema["items"], root) for item in value if "items" in schema)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (
            schema.get("minimum", value) <= value <= schema.get("maximum", value)
            and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
            and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        )
    return True
