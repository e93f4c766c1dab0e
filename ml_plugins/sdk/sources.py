"""Which class of the SDK a plugin is, read from its source: nothing of it is imported, since that may take long."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_plugins.exceptions import PluginBrokenError
from ml_plugins.sdk.namespace import ALIASES, Namespace, is_installed

BASE = 'LabelStudioMLBase'
_SDK = 'label_studio_ml'


@dataclass(frozen=True)
class SdkSource:
    """An SDK backend before it is imported.

    Attributes:
        plugin: The plugin's name.
        module: Name of the module with the class, as its siblings import it.
        class_name: The subclass of ``LabelStudioMLBase``.
        folder: Where the module's top-level name lies.
        only: The top-level name that belongs to it; empty for everything in the folder.
        trains: Whether the class, or one of its bases in the same module, has its own ``fit``.
        is_interactive: Whether its ``predict`` takes a ``context``.
    """

    plugin: str
    module: str
    class_name: str
    folder: Path
    only: str = ''
    trains: bool = True
    is_interactive: bool = True

    @property
    def requirements(self) -> Path | None:
        """Its list of requirements, when it is a folder that has one."""
        path = self.folder / 'requirements.txt'
        return path if not self.only and path.is_file() else None


def source_in_folder(plugin: str, folder: Path, class_name: str = '') -> SdkSource:
    """The backend in a folder as the SDK's examples are: `model.py`, or the module that `_wsgi.py` serves.

    Raises:
        PluginBrokenError: There is none, or there are several and `class_name` names none of them.
    """
    if not folder.is_dir():
        raise PluginBrokenError(f'{folder} is no folder; `label-studio plugins remove {plugin}` forgets it')
    module = 'model' if (folder / 'model.py').is_file() else _served_module(folder)
    if module is None:
        raise PluginBrokenError(f'{folder} has no model.py, and no _wsgi.py that says which module has the model')
    tree = _parse(folder / f'{module}.py')
    found = [node.name for node in _sdk_classes(tree)]
    if class_name and class_name not in {node.name for node in _classes(tree)}:
        raise PluginBrokenError(f'{folder / module}.py has no class {class_name}; it has {_listed(found)}')
    if not class_name and len(found) != 1:
        count = 'several subclasses' if found else 'no subclass'
        raise PluginBrokenError(
            f'{folder / module}.py has {count} of {BASE} ({_listed(found)}); name one: '
            f'label-studio plugins add {folder}:NameOfTheClass'
        )
    return _described(plugin, module, class_name or found[0], folder, '', tree)


def source_of_target(plugin: str, target: str, trusted: bool = False) -> SdkSource | None:
    """The backend that an entry point names, or None when it does not look like a class of the SDK.

    Args:
        trusted: It is known to be one.
    """
    module, _, class_name = target.partition(':')
    path = _path_of(module)
    if path is None or not class_name:
        return None
    try:
        tree = _parse(path)
    except PluginBrokenError:
        return None
    if not trusted and not (_imports_sdk(tree) and class_name in {node.name for node in _sdk_classes(tree)}):
        return None
    top = module.partition('.')[0]
    folder = path.parents[module.count('.') + (path.name == '__init__.py')]
    return _described(plugin, module, class_name, folder, top, tree)


def missing_imports(source: SdkSource) -> list[str]:
    """Top-level names that its modules import unconditionally and that are not there."""
    space = Namespace(source.plugin, source.folder, source.only)
    missing: dict[str, None] = {}
    waiting, seen = [source.folder.joinpath(*source.module.split('.')).with_suffix('.py')], set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for name in _imported(_parse(path)):
            top = name.partition('.')[0]
            if space.owns(top):
                waiting.append(source.folder.joinpath(*name.split('.')).with_suffix('.py'))
            elif top not in ALIASES and not is_installed(top):
                missing[top] = None
    return list(missing)


def _imported(tree: ast.Module) -> Iterator[str]:
    """What the statements of the module itself import; those in functions, `if` and `try` may never run."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _described(plugin: str, module: str, class_name: str, folder: Path, only: str, tree: ast.Module) -> SdkSource:
    nodes = {node.name: node for node in _classes(tree)}
    trains, interactive, is_whole = False, None, False
    name: str | None = class_name
    while name in nodes:
        methods = {item.name: item for item in nodes[name].body if isinstance(item, ast.FunctionDef)}
        trains = trains or 'fit' in methods
        if interactive is None and 'predict' in methods:
            arguments = methods['predict'].args
            interactive = any(item.arg == 'context' for item in [*arguments.args, *arguments.kwonlyargs])
        bases = [_last(base) for base in nodes.pop(name).bases]
        is_whole = BASE in bases
        name = next((base for base in bases if base in nodes), None)
    # A base class in another module is not looked at: it may have anything.
    return SdkSource(plugin, module, class_name, folder, only, trains or not is_whole, interactive is not False)


def _path_of(module: str) -> Path | None:
    top, _, rest = module.partition('.')
    try:
        # Only the top-level name is looked for, since the parents of the others would be imported.
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith('.py') else None
    for place in spec.submodule_search_locations or ():
        path = Path(place, *rest.split('.'))
        for candidate in (path.with_suffix('.py'), path / '__init__.py'):
            if candidate.is_file():
                return candidate
    return None


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        raise PluginBrokenError(f'{path} cannot be read: {error}') from error


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _sdk_classes(tree: ast.Module) -> list[ast.ClassDef]:
    """Subclasses of the SDK's base class, those that others of the module derive from left out."""
    found: dict[str, ast.ClassDef] = {}
    for node in _classes(tree):
        if any(_last(base) == BASE or _last(base) in found for base in node.bases):
            found[node.name] = node
    parents = {_last(base) for node in found.values() for base in node.bases}
    return [node for name, node in found.items() if name not in parents] or list(found.values())


def _imports_sdk(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == _SDK:
            return True
        if isinstance(node, ast.Import) and any(item.name.partition('.')[0] == _SDK for item in node.names):
            return True
    return False


def _served_module(folder: Path) -> str | None:
    wsgi = folder / '_wsgi.py'
    if not wsgi.is_file():
        return None
    imported = (node.module for node in ast.walk(_parse(wsgi)) if isinstance(node, ast.ImportFrom) and node.module)
    own = (module for module in imported if (folder / f'{module}.py').is_file())
    return next((module for module in own if _sdk_classes(_parse(folder / f'{module}.py'))), None)


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition('.')[2]


def _listed(names: list[str]) -> str:
    return ', '.join(names) or 'none'
