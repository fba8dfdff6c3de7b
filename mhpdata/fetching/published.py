"""Trained weights that others publish: addresses, checksums, and the terms to show before the first byte.

mhp publishes none of them. Sources of the facts: GluonCV 0.10.5's ``model_zoo/model_store.py`` (name, SHA-1, address);
the README of Self-Correction for Human Parsing (ids on Google Drive); the hub's addresses. SCHP's authors publish no
checksum: those of two of its files are the Git LFS ids of the copies in ``zhengchong/CatVTON`` on the hub, as public
repositories record them, and so are those of SegFormer's weights. Nothing here was downloaded by mhp's developers.
"""

from __future__ import annotations

from typing import NamedTuple

GLUON = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/models"
HUB = "https://huggingface.co"
SCHP = "https://github.com/GoGoDuck912/Self-Correction-Human-Parsing"
_MAIN, _MIT_B0 = "main", "25ce79d97e6d9d509ed12e17cb2eb89b0a83a2dc"


class WeightsFile(NamedTuple):
    """A file of weights.

    Attributes:
        name: Its path in the output folder; its last part is its name on a web server.
        digest: "sha1:" or "sha256:" and hexadecimal digits; "" if no checksum is known.
        size: Its bytes; 0 if unknown.
        folder: Address of the folder that has it on a web server; "" if it is on Google Drive only.
        drive_id: Its id on Google Drive; "" if it is not there.
        zipped: Whether the server has it in a zip archive of the same name, with the suffix .zip.
        page: Address of its authors' page.
    """

    name: str
    digest: str = ""
    size: int = 0
    folder: str = ""
    drive_id: str = ""
    zipped: bool = False
    page: str = ""

    @property
    def remote_name(self) -> str:
        """Its name on a web server."""
        name = self.name.rpartition("/")[2]
        return f"{name.rpartition('.')[0]}.zip" if self.zipped else name

    @property
    def drive_page(self) -> str:
        """Address at which a browser downloads it."""
        return f"https://drive.google.com/file/d/{self.drive_id}/view"

    @property
    def otherwise(self) -> str:
        """Advice for the file after a browser has downloaded it."""
        return f"move it into the output folder as {self.name}"


class Weights(NamedTuple):
    """Weights that can be fetched.

    Attributes:
        title: Their name for people.
        page: Address of their authors' page.
        licence: Licence, as far as it is known.
        data: What they were trained on, and its licence.
        citation: How to cite them.
        files: Their files.
    """

    title: str
    page: str
    licence: str
    data: str
    citation: str
    files: tuple[WeightsFile, ...]

    def terms(self) -> str:
        """Return licence and citation as lines of text."""
        return "\n".join(
            (
                f"{self.title}, {self.page}",
                f"Licence: {self.licence}",
                f"Trained on: {self.data}",
                f"Cite: {self.citation}",
            )
        )


_SCHP_LICENCE = "MIT for the code (Peike Li, 2019); the repository states none for the weights"
_SCHP_PAPER = "Peike Li, Yunqiu Xu, Yunchao Wei, Yi Yang: Self-Correction for Human Parsing. arXiv:1910.09777, 2019"
_SEGFORMER = (
    "Enze Xie, Wenhai Wang, Zhiding Yu, Anima Anandkumar, Jose M. Alvarez, Ping Luo: SegFormer: Simple and Efficient "
    "Design for Semantic Segmentation with Transformers. NeurIPS 2021"
)
_NVIDIA = "NVIDIA Source Code License for SegFormer: non-commercial use only, research or evaluation"


def _schp(dataset: str, name: str, drive_id: str, digest: str = "", size: int = 0) -> Weights:
    file = WeightsFile(name, digest, size, drive_id=drive_id, page=SCHP)
    data = f"{dataset}; see the terms of this dataset"
    return Weights(f"SCHP, trained on {dataset}", SCHP, _SCHP_LICENCE, data, _SCHP_PAPER, (file,))


def _hub(repository: str, revision: str, digests: dict[str, tuple[str, int]]) -> tuple[WeightsFile, ...]:
    folder, page, model = f"{HUB}/{repository}/resolve/{revision}", f"{HUB}/{repository}", repository.rpartition("/")[2]
    return tuple(
        WeightsFile(f"{model}/{name}", digest, size, folder, page=page) for name, (digest, size) in digests.items()
    )


WEIGHTS = {
    "icnet_resnet50_mhpv1": Weights(
        "GluonCV's ICNet, trained on LV-MHP v1",
        "https://cv.gluon.ai/model_zoo/segmentation.html",
        "Apache-2.0 for GluonCV; it states none for the weights",
        "LV-MHP v1, whose licence is non-commercial research only (https://lv-mhp.github.io)",
        "Jian Guo et al.: GluonCV and GluonNLP: Deep Learning in Computer Vision and Natural Language Processing. "
        "JMLR 21, 2020",
        (
            WeightsFile(
                "icnet_resnet50_mhpv1-873d381a.params",
                "sha1:873d381a4bc246c5b9d3660ccf66c2f63d0b4e7c",
                folder=GLUON,
                zipped=True,
                page="https://cv.gluon.ai/model_zoo/segmentation.html",
            ),
        ),
    ),
    "schp-lip": _schp(
        "LIP",
        "exp-schp-201908261155-lip.pth",
        "1k4dllHpu0bdx38J7H28rVVLpU-kOHmnH",
        "sha256:24fa3254ceeb74c8435458994a64b522fb439a3635b7b86ff470457e0413da00",
        267_449_349,
    ),
    "schp-atr": _schp(
        "ATR",
        "exp-schp-201908301523-atr.pth",
        "1ruJg4lqR_jgQPj-9K0PP-L2vJERYOxLP",
        "sha256:e9d7c91ce3b4e7133df56b599fc817b533e3439c5e8d282a59126d2fda339a2a",
        267_445_237,
    ),
    "schp-pascal": _schp(
        "PASCAL-Person-Part", "exp-schp-201908270938-pascal-person-part.pth", "1E5YwNKW2VOEayK9mWCS3Kpsxf-3z04ZE"
    ),
    "segformer_b2_clothes": Weights(
        "SegFormer B2, trained for clothes by mattmdjaga",
        f"{HUB}/mattmdjaga/segformer_b2_clothes",
        "MIT by its label on Hugging Face; its first README said WTFPL. A SegFormer B2 presumably began with NVIDIA's "
        f"encoder: {_NVIDIA}",
        "mattmdjaga/human_parsing_dataset, which has ATR's classes; see the terms of both",
        _SEGFORMER,
        _hub(
            "mattmdjaga/segformer_b2_clothes",
            _MAIN,
            {
                "config.json": ("", 0),
                "preprocessor_config.json": ("", 0),
                "model.safetensors": (
                    "sha256:8f86fd90c567afd4370b3cc3a7e81ed767a632b2832a738331af660acc0c4c68",
                    109_493_236,
                ),
            },
        ),
    ),
    "mit-b0": Weights(
        "NVIDIA's encoder of SegFormer B0, trained on ImageNet",
        f"{HUB}/nvidia/mit-b0",
        _NVIDIA,
        "ImageNet-1k; see its terms of access",
        _SEGFORMER,
        _hub(
            "nvidia/mit-b0",
            _MIT_B0,
            {
                "config.json": ("sha256:e2378ac7c7a6981d6bdd1d9ccf29b611264c382afce89c561f39c9291164ff91", 0),
                "model.safetensors": ("sha256:3e5ad9cd1dd8ecf8305c23fcdf01ef241f08c7b2dddacb6ec7de5a887188798a", 0),
            },
        ),
    ),
}
"""By name on the command line."""
