"""The flows in order, the only place where rooms meet: polling, clustering, importing."""
