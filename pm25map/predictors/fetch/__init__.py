"""Files from their providers into folders that `pm25map data ingest` reads: the table, the planning, the download.

The addresses stand in the entries of the sources (pm25map.predictors.catalogue);
`plan` turns days and a place into a list of files, `fetch` brings them.
Nothing here reads a value: that is the sources' work.
"""
