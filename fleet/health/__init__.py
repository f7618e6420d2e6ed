"""Health: is an object, is an application, fine? Argo CD's words and rules, as pure functions."""
