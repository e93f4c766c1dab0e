"""A backend that looks at pictures, and what callers of the prediction service send it."""

import base64
import io

from PIL import Image

from ml_plugins import MLBackend, Prediction, Serves

TEXT_CONFIG = (
    '<View><Text name="text" value="$review"/><Labels name="label" toName="text"><Label value="name"/></Labels></View>'
)
BOX_CONFIG = (
    '<View><Image name="image" value="$photo"/><RectangleLabels name="box" toName="image">'
    '<Label value="cat"/></RectangleLabels></View>'
)


class Brightness(MLBackend):
    """Reads the picture: "cat" when it is bright, else "dog"."""

    serves = (Serves('Choices', 'Image'),)

    def predict(self, tasks, interaction=None):
        control = self.label_config.control('Choices', 'Image')
        return [self._one(control, task) for task in tasks]

    def _one(self, control, task):
        bright = task.image(control.value).convert('L').getpixel((0, 0)) > 127
        return Prediction([control.choices('cat' if bright else 'dog', score=0.75)], score=0.75)


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new('RGB', (8, 8), (shade,) * 3).save(file, 'PNG')
    return file.getvalue()


def data_url(shade: int) -> str:
    return 'data:image/png;base64,' + base64.b64encode(picture(shade)).decode()


def choice(answer: dict) -> str:
    return answer['result'][0]['value']['choices'][0]


def post(client, content, path='/predict', **extra):
    return client.post(path, content, format='json', **extra)
