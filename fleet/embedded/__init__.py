"""A Kubernetes API server in process: for the demo, for simulations and for tests of what stands above a cluster.

    server = EmbeddedServer(Options(ready_delay=0.5))
    await server.start()
    server.write_kubeconfig(path)

Real kubectl and helm work against it, and the agent cannot tell it from a real one. It is never used where a test is
about Kubernetes' own behaviour; where the two differ, the real one is right (``tests/contract``).
"""
