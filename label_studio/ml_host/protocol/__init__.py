"""This server as an HTTP ML backend of other Label Studios: ``/ml/<backend>/…``, in the words of their protocol."""
