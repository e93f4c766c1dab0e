from ml_plugins import MLBackend


class BrokenBackend(MLBackend):
    def setup(self):
        raise RuntimeError('broken in setup')

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]
