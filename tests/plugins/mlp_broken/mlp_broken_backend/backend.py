raise RuntimeError('broken in backend')
