"""Import a backend's modules as a package of its own, a fresh copy for each loaded model.

Nearly every backend for the SDK is a folder with a `model.py` whose siblings are called `utils` or `config`, keeps
its model in a global of that module, and reads ``MODEL_DIR`` while it is imported. In a process that serves several of
them, for several projects and versions, all three collide. So the modules of one model see an ``import`` of their own:
what lies beside them is found there first, as in a program that was started in that folder, and is nobody else's.

All copies of a module have the same name, so that what ``fit`` pickles is found by the process that loads it;
``sys.modules`` has the newest.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
import threading
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = 'sdk_backends'
# What is found under another name: our own base class, and packages that have moved.
ALIASES = {
    'label_studio_ml': 'ml_plugins.sdk.provided',
    'label_studio_tools': 'label_studio_sdk._extensions.label_studio_tools',
    'label_studio_converter': 'label_studio_sdk.converter',
}

_lock = threading.RLock()


class Namespace:
    """The modules of one loaded model.

    Args:
        name: The plugin's name.
        folder: Where its modules lie.
        only: The one package or module in it that is the backend's; empty for everything in the folder.
    """

    def __init__(self, name: str, folder: Path, only: str = '') -> None:
        self.folder = folder
        self._package = f'{ROOT}.{name.replace("-", "_")}'
        self._only = only
        self._modules: dict[str, ModuleType] = {}
        self._owned: dict[str, bool] = {}
        self._builtins = {**vars(builtins), '__import__': self._import}

    def load(self, module: str) -> ModuleType:
        """Import one of its modules by the name that the backend uses, e.g. ``"model"``."""
        with _lock:
            return self._load(f'{self._package}.{module}')

    def owns(self, top: str) -> bool:
        """Whether a top-level name is a module of this backend."""
        if top not in self._owned:
            self._owned[top] = top == self._only if self._only else self._is_beside(top)
        return self._owned[top]

    def _is_beside(self, top: str) -> bool:
        if (self.folder / f'{top}.py').is_file() or (self.folder / top / '__init__.py').is_file():
            return True
        # A folder without __init__.py, unless a library of that name is installed.
        folder = self.folder / top
        return folder.is_dir() and any(folder.glob('*.py')) and not is_installed(top)

    def _import(
        self,
        name: str,
        globals_: dict[str, Any] | None = None,
        locals_: dict[str, Any] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """What an ``import`` statement in one of the modules does."""
        if level:
            package = (globals_ or {}).get('__package__') or self._package
            absolute = importlib.util.resolve_name('.' * level + name, package)
        else:
            absolute = self._absolute(name)
        if not absolute.startswith(self._package):
            return _import_elsewhere(name, absolute, globals_, locals_, fromlist)
        with _lock:
            module = self._load(absolute)
            if not fromlist:
                return module if level else self._load('.'.join(absolute.split('.')[: self._package.count('.') + 2]))
            for item in fromlist:
                if item != '*' and not hasattr(module, item) and hasattr(module, '__path__'):
                    self._load_if_there(f'{absolute}.{item}')
            return module

    def _absolute(self, name: str) -> str:
        top, dot, rest = name.partition('.')
        if self.owns(top):
            return f'{self._package}.{name}'
        if top in ALIASES and (top == 'label_studio_ml' or not is_installed(top)):
            return f'{ALIASES[top]}{dot}{rest}'
        return name

    def _load(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        if name == self._package:
            return self._add_package()
        parent = self._load(name.rpartition('.')[0])
        # The parent's own code may have imported it meanwhile.
        if name in self._modules:
            return self._modules[name]
        spec = self._find(name, parent)
        if spec is None:
            raise ModuleNotFoundError(f'No module named {name.removeprefix(self._package + ".")!r}', name=name)
        return self._execute(name, spec, parent)

    def _load_if_there(self, name: str) -> None:
        parent = self._modules[name.rpartition('.')[0]]
        if name not in self._modules and self._find(name, parent) is not None:
            self._load(name)

    def _find(self, name: str, parent: ModuleType) -> ModuleSpec | None:
        paths = getattr(parent, '__path__', None)
        return PathFinder.find_spec(name, list(paths)) if paths is not None else None

    def _execute(self, name: str, spec: ModuleSpec, parent: ModuleType) -> ModuleType:
        module = importlib.util.module_from_spec(spec)
        module.__dict__['__builtins__'] = self._builtins
        self._modules[name] = sys.modules[name] = module
        try:
            if spec.loader is not None:
                spec.loader.exec_module(module)
        except BaseException:
            self._modules.pop(name, None)
            sys.modules.pop(name, None)
            raise
        setattr(parent, name.rpartition('.')[2], module)
        return module

    def _add_package(self) -> ModuleType:
        sys.modules.setdefault(ROOT, ModuleType(ROOT))
        package = ModuleType(self._package)
        package.__path__ = [str(self.folder)]
        package.__package__ = self._package
        self._modules[self._package] = sys.modules[self._package] = package
        return package


def _import_elsewhere(
    name: str, absolute: str, globals_: Any, locals_: Any, fromlist: tuple[str, ...] | None
) -> ModuleType:
    if name == absolute:
        return builtins.__import__(name, globals_, locals_, fromlist or (), 0)
    module = importlib.import_module(absolute)
    if fromlist:
        return builtins.__import__(absolute, globals_, locals_, fromlist, 0)
    top = name.partition('.')[0]
    return module if top == name else importlib.import_module(ALIASES[top])


def is_installed(top: str) -> bool:
    """Whether a top-level name can be imported; it is not."""
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
