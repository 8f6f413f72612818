"""Writes AnnData and GCT with the field's own packages, and reads what we wrote.

    pip install -r requirements.txt
    python anndata_files.py write FOLDER    # files for our readers
    python anndata_files.py read FILE..     # prints what is in ours
    python anndata_files.py fixture FOLDER  # the committed fixture

`read` prints one line of JSON per file: the metadata columns with their types
and values, the features and the matrix, as text that tells doubles apart.
"""

import json
import sys
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse
from cmapPy.pandasGEXpress import GCToo, parse_gct, write_gct

warnings.filterwarnings("ignore")


def wells(num_rows=5):
    """Metadata of every type that anndata writes."""
    obs = pd.DataFrame(index=[f"P1_{row}" for row in range(num_rows)])
    genes = ["PLK1", "MTOR", "PLK1", None, "µ-gene"]
    obs["Metadata_gene"] = pd.Categorical(genes)
    obs["Metadata_Well"] = [f"A{row:02}" for row in range(num_rows)]
    obs["Metadata_Site"] = np.arange(num_rows, dtype=np.int32)
    obs["Metadata_dose"] = [0.25, np.nan, 1.0, 2.0, 4.0]
    obs["Metadata_flag"] = [True, False, True, False, True]
    obs["Metadata_count"] = pd.array([1, None, 3, 4, 2**40], dtype="Int64")
    obs["Metadata_passed"] = pd.array([True, None, False, True, True], dtype="boolean")
    obs["Metadata_level"] = pd.Categorical([3, 1, 3, None, 1], categories=[1, 3])
    return obs


def matrix(num_rows=5, num_features=3, dtype=np.float32):
    values = np.arange(num_rows * num_features, dtype=dtype).reshape(num_rows, num_features)
    values = values / 8 - 0.5
    values[1, 1] = np.nan
    return values


def table(X=None, var_names=None, obs=None):
    X = matrix() if X is None else X
    names = var_names or [f"feature_{i}" for i in range(X.shape[1])]
    data = anndata.AnnData(X=X, obs=wells() if obs is None else obs, var=pd.DataFrame(index=names))
    return data


def write_all(folder):
    folder = Path(folder)
    anndata.settings.allow_write_nullable_strings = True
    zero = matrix()
    zero[np.isnan(zero)] = 0
    double = table(matrix(dtype=np.float64))
    # What scanpy leaves in a table that was worked with.
    double.obsm["X_pca"] = np.zeros((5, 2))
    double.layers["raw"] = double.X.copy()
    double.var["symbol"] = ["a", "b", "c"]
    double.uns["neighbors"] = {"params": {"n_neighbors": 15}}
    text = table()
    text.obs["Metadata_note"] = pd.array(["x", None, "", "é", "x"], dtype="string")
    # pycytominer's writer: every number in X, rows named 0, 1, 2 ..
    obs = wells()[["Metadata_gene"]].set_axis([str(i) for i in range(5)])
    X = np.column_stack([np.arange(5), [0.25, np.nan, 1, 2, 4], matrix(dtype=np.float64)])
    names = ["Metadata_Site", "Metadata_mmoles_per_liter", "Cells_A", "Cells_B", "Nuclei_C"]
    tables = {
        "single": table(),
        "double": double,
        "text": text,
        "csr": table(scipy.sparse.csr_matrix(zero)),
        "csc": table(scipy.sparse.csc_matrix(zero)),
        "whole": table(np.arange(15, dtype=np.int16).reshape(5, 3)),
        "pycytominer": table(X, names, obs),
    }
    for name, data in tables.items():
        for version in (2, 3):
            anndata.settings.zarr_write_format = version
            data.write_zarr(folder / f"{name}_v{version}.zarr")
        data.write_h5ad(folder / f"{name}.h5ad", compression="gzip")
    anndata.settings.zarr_write_format = 2
    many = np.arange(1000 * 4, dtype=np.float64).reshape(1000, 4)
    obs = pd.DataFrame(index=[str(row) for row in range(1000)])
    data = anndata.AnnData(X=many, obs=obs, var=pd.DataFrame(index=list("wxyz")))
    data.write_zarr(folder / "chunked.zarr", chunks=(64, 3))
    data.write_h5ad(folder / "chunked.h5ad", compression="lzf")

    columns = pd.DataFrame(
        {"Metadata_Plate": ["P1", "P1", "P2"], "dose": [0.25, np.nan, 4]},
        index=["P1_A01", "P1_A02", "P2_A01"],
    )
    rows = pd.DataFrame({"symbol": ["a", "b"]}, index=["feature_0", "feature_1"])
    values = pd.DataFrame([[0.5, -1.25, np.nan], [3, 4, 5]], rows.index, columns.index)
    gct = GCToo.GCToo(data_df=values, row_metadata_df=rows, col_metadata_df=columns)
    write_gct.write(gct, str(folder / "cmap.gct"))
    (folder / "genepattern.gct").write_text(
        "#1.2\n2\t3\nNAME\tDescription\ts1\ts2\ts3\nf1\tna\t1\t2\t3\nf2\tsome text\t4\t5\t6.5\n"
    )


def plain(value):
    """A value as JSON; missing ones are null, doubles are text."""
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (int, np.integer)):
        return int(value)
    return str(value)


def read(path):
    if path.endswith((".gct", ".gct.gz")):
        data = parse_gct.parse(path)
        obs, X = data.col_metadata_df, data.data_df.T
        names, index, uns = list(X.columns), list(obs.index), {}
        X = X.to_numpy()
    else:
        data = anndata.read_zarr(path) if path.endswith(".zarr") else anndata.read_h5ad(path)
        obs, X, names, index = data.obs, data.X, list(data.var_names), list(data.obs_names)
        uns = {key: plain(value) for key, value in data.uns.items()}
    columns = {
        name: {"dtype": str(obs[name].dtype), "values": [plain(v) for v in obs[name]]}
        for name in obs.columns
    }
    return {
        "index": index,
        "columns": columns,
        "features": names,
        "dtype": str(X.dtype),
        "X": [[plain(value) for value in row] for row in X],
        "uns": uns,
    }


def fixture(folder):
    """As small as a file of each kind can be, in both versions of Zarr."""
    folder = Path(folder)
    obs = wells()[["Metadata_gene", "Metadata_count", "Metadata_dose"]]
    for version in (2, 3):
        anndata.settings.zarr_write_format = version
        data = table(obs=obs)
        data.write_zarr(folder / f"anndata_0_12_v{version}.zarr")
    table(obs=obs).write_h5ad(folder / "anndata_0_12.h5ad")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_all(sys.argv[2])
    elif sys.argv[1] == "fixture":
        fixture(sys.argv[2])
    else:
        for name in sys.argv[2:]:
            print(json.dumps(read(name)))
