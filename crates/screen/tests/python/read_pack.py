"""Reads a pack with the field's own packages and prints what is in it.

    pip install -r requirements.txt
    python read_pack.py PACK

One line per image: well path, field, SHA-256 of its pixels as little-endian
values `[channel, row, column]`, and its channels' labels.
"""

import hashlib
import sys
from pathlib import Path

import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader


def main(root):
    for plate_path in sorted(Path(root).glob("*.zarr")):
        # What napari opens: the plate as one picture of all wells.
        nodes = list(Reader(parse_url(str(plate_path), mode="r"))())
        assert nodes and nodes[0].data, f"ome-zarr finds no data in {plate_path}"
        plate = zarr.open_group(plate_path, mode="r")
        ome = plate.attrs["ome"]
        assert ome["version"] == "0.5"
        for well in ome["plate"]["wells"]:
            group = plate[well["path"]]
            for image in group.attrs["ome"]["well"]["images"]:
                field = group[image["path"]]
                attributes = field.attrs["ome"]
                array = field[attributes["multiscales"][0]["datasets"][0]["path"]]
                assert array.shards is not None, "the array is sharded"
                pixels = array[:]
                values = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
                labels = ",".join(c["label"] for c in attributes["omero"]["channels"])
                digest = hashlib.sha256(values).hexdigest()
                print(plate_path.name, well["path"], image["path"], digest, labels)


if __name__ == "__main__":
    main(sys.argv[1])
