"""Atlassian Document Format: which documents Jira takes for a comment, and what a reader sees of them.

Documented: a document is a `doc` in version 1; which nodes may be in which; a text is never empty; marks belong to
texts. Stricter than Jira: nodes that a note does not need (tables, media, mentions, expands …) are refused.

Source: developer.atlassian.com/cloud/jira/platform/apis/document/structure (read 2026-11-30).
"""

from typing import Any

from infra.local.values import Json

INLINE = frozenset({"text", "hardBreak"})
TOP = frozenset({"paragraph", "heading", "bulletList", "orderedList", "codeBlock", "blockquote", "panel", "rule"})
CHILDREN = {
    "doc": TOP,
    "paragraph": INLINE,
    "heading": INLINE,
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"}),
    "codeBlock": frozenset({"text"}),
    "blockquote": frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"}),
    "panel": frozenset({"paragraph", "heading", "bulletList", "orderedList"}),
}
LEAVES = frozenset({"text", "hardBreak", "rule"})
MARKS = frozenset({"code", "em", "link", "strike", "strong", "subsup", "textColor", "underline"})
NEEDS_CONTENT = frozenset({"bulletList", "orderedList", "listItem", "blockquote", "panel"})


def is_document(value: Any) -> bool:  # noqa: ANN401  (JSON)
    if not isinstance(value, dict) or value.get("type") != "doc" or type(value.get("version")) is not int:
        return False
    if value["version"] != 1 or value.keys() != {"type", "version", "content"}:
        return False
    return _has_valid_children(value)


def text_of_document(node: Json) -> str:
    """Return a line for each block and each break."""
    return "\n".join(line for line in _text(node).split("\n") if line.strip())


def document_of(text: str) -> Json:
    """Return *text* as a document with a paragraph for each line."""
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}] if line else []} for line in text.split("\n")
    ]
    return {"type": "doc", "version": 1, "content": paragraphs}


def _has_valid_children(node: Json) -> bool:
    content = node.get("content", [])
    if not isinstance(content, list) or (node["type"] in NEEDS_CONTENT and not content):
        return False
    return all(_is_valid(child, CHILDREN[node["type"]]) for child in content)


def _is_valid(node: Any, allowed: frozenset[str]) -> bool:  # noqa: ANN401  (JSON)
    kind = _kind(node)
    if kind not in allowed or not isinstance(node.get("attrs", {}), dict):
        return False
    if kind == "text":
        text = node.get("text")
        return (
            isinstance(text, str) and text != "" and node.keys() <= {"type", "text", "marks"} and _has_valid_marks(node)
        )
    if kind in LEAVES:
        return set(node) <= {"type", "attrs"}
    return set(node) <= {"type", "content", "attrs"} and _has_needed_attributes(node) and _has_valid_children(node)


def _kind(node: Any) -> str:  # noqa: ANN401  (JSON)
    kind = node.get("type") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else ""


def _has_needed_attributes(node: Json) -> bool:
    attributes: Json = node.get("attrs", {})
    if node["type"] == "heading":
        return attributes.get("level") in range(1, 7)
    return node["type"] != "panel" or isinstance(attributes.get("panelType"), str)


def _has_valid_marks(node: Json) -> bool:
    marks = node.get("marks", [])
    return isinstance(marks, list) and all(
        _kind(mark) in MARKS
        and mark.keys() <= {"type", "attrs"}
        and (mark["type"] != "link" or isinstance(_attributes(mark).get("href"), str))
        for mark in marks
    )


def _attributes(mark: Json) -> Json:
    attributes = mark.get("attrs")
    return attributes if isinstance(attributes, dict) else {}


def _text(node: Json) -> str:
    if node["type"] == "text":
        return str(node["text"])
    inner = "".join(_text(child) for child in node.get("content", []))
    return "\n" if node["type"] == "hardBreak" else inner if node["type"] == "doc" else f"{inner}\n"
