from ml_plugins import MLBackend


class BrokenBackend(MLBackend):
    @classmethod
    def check(cls, label_config):
        raise RuntimeError('broken in check')

    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]
