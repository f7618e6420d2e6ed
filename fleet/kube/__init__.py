"""One cluster's API server as a port, its adapter, and discovery: the only home of kubernetes-asyncio."""
