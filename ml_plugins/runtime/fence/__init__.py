"""A backend in a process of its own: native code that crashes, hangs or eats memory takes only that process along."""

# "package.module:function" that makes the host's plugins known in a new process; the host sets it.
bootstrap = ''
