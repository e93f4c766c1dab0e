from ml_plugins import MLBackend


class BrokenBackend(MLBackend):
    def predict(self, tasks, interaction=None):
        return [None for _ in tasks]

    def fit(self, dataset, run):
        (run.directory / 'half-written').write_text('rubbish')
        raise RuntimeError('broken in fit')
