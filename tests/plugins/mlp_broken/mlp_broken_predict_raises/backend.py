from ml_plugins import MLBackend


class BrokenBackend(MLBackend):
    def predict(self, tasks, interaction=None):
        raise RuntimeError('broken in predict')
