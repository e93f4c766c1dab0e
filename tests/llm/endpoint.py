"""A small server of this machine that speaks OpenAI's chat protocol and answers by rules."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint:
    """Answers requests until it is closed.

    Attributes:
        requests: Bodies that came in, with the key that came along.
        troubles: Answers to give before the usual ones: a status with headers and a text, or a function of the body.
    """

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.troubles = []
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                with endpoint._lock:
                    endpoint.requests.append({**body, 'key': self.headers['Authorization'], 'path': self.path})
                    trouble = endpoint.troubles.pop(0) if endpoint.troubles else None
                status, headers, content = trouble if trouble else (200, {}, endpoint.usual(body))
                if status == 'hang up':
                    self.close_connection = True
                    self.connection.close()
                    return
                data = content.encode()
                self.send_response(status)
                for name, value in {**headers, 'Content-Length': str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.address = f'http://127.0.0.1:{self._server.server_port}/v1'
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def usual(self, body):
        """What the model says, in the protocol's form."""
        said = self.answer(body['messages'][-1]['content'])
        return completion(said if isinstance(said, str) else json.dumps(said))

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(content, input_tokens=1000, output_tokens=100):
    """An answer in the protocol's form."""
    usage = {'prompt_tokens': input_tokens, 'completion_tokens': output_tokens}
    return json.dumps({'choices': [{'message': {'role': 'assistant', 'content': content}}], 'usage': usage})
