import time

from ml_plugins import MLBackend, Param


class BrokenBackend(MLBackend):
    params = (Param('seconds', 3600.0),)

    def predict(self, tasks, interaction=None):
        time.sleep(self.param_values['seconds'])
        return [None for _ in tasks]
