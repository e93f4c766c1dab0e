"""Texts of tasks for the bundled text backends: read, checked, and cut where they are endless."""

from __future__ import annotations

from html.parser import HTMLParser

from ml_plugins.exceptions import TaskDataError
from ml_plugins.types import Task, TaskFailure

# Characters that are read of a text. A book needs no more to be told from another one, and would hold up its batch.
LONGEST = 50_000
_HIDDEN = frozenset({'script', 'style', 'head', 'template'})


def text_or_failure(task: Task, key: str, markup: bool = False) -> str | TaskFailure:
    """What stands in a field, or why nothing can be made of it.

    Args:
        task: The task.
        key: Name of the field.
        markup: It is a web page, of which only the words count.
    """
    if str(task.data.get(key) if task.data.get(key) is not None else '').strip() == '':
        return TaskFailure(task.id, f'field "{key}" is empty' if key in task.data else _absent(task, key))
    try:
        text = task.text(key)
    except TaskDataError as error:
        return TaskFailure(task.id, str(error))
    if markup:
        text = words_of_page(text)
    return text if text.strip() else TaskFailure(task.id, f'field "{key}" has no text')


def _absent(task: Task, key: str) -> str:
    return f'field "{key}" is missing; the task has {", ".join(sorted(map(str, task.data))) or "nothing"}'


def words_of_page(page: str) -> str:
    """The text of a piece of HTML."""
    parser = _Words()
    parser.feed(page)
    parser.close()
    return ' '.join(parser.parts)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.parts.append(data.strip())
