"""The static site of a report: pages that need no server, no network and no JavaScript, made from data beside them."""

from thbench.report.site.build import DATA_FILES, publish, read_data, write_site

__all__ = ["DATA_FILES", "publish", "read_data", "write_site"]
