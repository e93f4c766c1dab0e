import a_package_that_nobody_has

from ml_plugins import MLBackend


class IncompleteBackend(MLBackend):
    def predict(self, tasks, interaction=None):
        return a_package_that_nobody_has.predict(tasks)
