"""Folders of pictures as an index on disk: built bit by bit, searched by text or picture, shown as a page."""
