"""Files from their providers into folders that `pm25map data ingest` reads: the table, the planning, the download.

The addresses are in the entries of the sources (pm25map.predictors.catalogue);
`plan` turns days and a place into a list of files, `fetch` downloads them.
Nothing here reads a value: that is done in the sources.
"""
