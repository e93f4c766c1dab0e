from ml_plugins import MLBackend, Param, Prediction, Region

KINDS = ('label', 'to_name', 'nan', 'type', 'short', 'nothing')


class BrokenBackend(MLBackend):
    params = (Param('kind', 'label', choices=KINDS),)

    def predict(self, tasks, interaction=None):
        kind = self.param_values['kind']
        if kind == 'nothing':
            return None
        items = [self._item(kind) for _ in tasks]
        return items[:-1] if kind == 'short' else items

    def _item(self, kind):
        control = self.label_config.all_controls[0]
        if kind == 'type':
            return 'cat'
        if kind == 'nan':
            return Prediction([control.choices(control.labels[0])], score=float('nan'))
        if kind == 'to_name':
            return Prediction([Region(control.name, 'no_such_object', control.type, {'choices': [control.labels[0]]})])
        return Prediction([control.choices('no such label')])
