"""Everything that is fetched over HTTP and is not git: Helm repositories, OCI registries.

One admission for URLs (`urls`), one client with limits (`http`), one redaction (`redaction`). `ChartRepositories` in
`helmrepo` is what rendering uses; it hands `oci://` to `oci`. Archives are read by `archive`.
"""
