"""MultiBoxLoss: what SSD is trained with."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import MultiBoxLossParameter

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .boxes import BoxCode, Suppression, count_priors, decode_boxes
from .loss_normalization import Normalization
from .registry import register

_FIELD = "multibox_loss_param"
_TRUTH = 8  # numbers of a true box's row


@register("MultiBoxLoss")
class MultiBoxLoss(Layer):
    """The loss of box locations and of classes over the prior boxes that match true boxes.

    Shapes:     locations N×4PL (L is 1, or the number of classes C without share_location), scores
                N×PC, priors 1×2×4P, true boxes 1×1×R×8 (image, or −1 for an unused row; class,
                instance, xmin, ymin, xmax, ymax, difficult) → scalar. As in SSD, only the third
                axis of the true boxes counts; their first 8·R numbers are taken.
    Parameters: multibox_loss_param: num_classes (C), share_location (true), background_label_id
                (0), and those named below; loss_param normalization.
    Matching:   each true box takes the free prior that overlaps it most, the best pair first
                (match_type BIPARTITE); then each free prior takes the true box that overlaps it
                most, if by overlap_threshold (.5) or more (PER_PREDICTION, the default).
                use_prior_for_matching: false matches the decoded predictions instead;
                ignore_cross_boundary_bbox leaves out those that reach outside the image;
                use_difficult_gt: false leaves out difficult true boxes. Without share_location a
                match counts at the location of the true box's class only.
    Mining:     mining_type NONE: each free prior is trained as background. MAX_NEGATIVE (default):
                of those that overlap true boxes by less than neg_overlap (.5) only neg_pos_ratio
                (3) times as many as there are matches, those of the greatest class loss.
                HARD_EXAMPLE: of all the sample_size (64) of the greatest loss, matches or not;
                with nms_param after suppression among the predictions (use_prior_for_nms: the
                priors). Images without true boxes take no part then.
    Formula:    (loc_weight·Σ f(t − t*) + Σ c) / divisor. t* encodes the true box (code_type,
                encode_variance_in_target: see BoxCode; the error is divided by the variance if that
                is in the target); f(d) is SmoothL1Loss's or ½d² (loc_loss_type); bp_inside: only
                corners inside the image. c is −log softmax or the logistic loss (conf_loss_type);
                map_object_to_agnostic: one class for all. divisor: loss_param's normalization,
                VALID by default: the matches; FULL N·P; BATCH_SIZE N; at least 1.
    Gradient:   to locations and scores; propagate_down: false takes its part out of the loss.
    Source:     Liu et al. 2016 (SSD); hard examples: Shrivastava et al. 2016.
    """

    bottoms = Exactly(4)
    labels = (2, 3)
    is_loss = True
    automatic_tops = 1

    def setup(self) -> None:
        self.settings = self.param.multibox_loss_param
        self.classes = self.settings.num_classes
        if self.classes < 1:
            raise LayerError("num_classes must be at least 1", field=(_FIELD,))
        self.locations = 1 if self.settings.share_location else self.classes
        self.code = BoxCode(self.settings.code_type, self.settings.encode_variance_in_target)
        self.normalization = Normalization.read(self.param)
        self._judge_classes()
        self._judge_mining()
        self.rule = Suppression(0)
        if self.settings.HasField("nms_param"):
            self.rule = Suppression.read(self.settings.nms_param, _FIELD, -math.inf)

    def _judge_classes(self) -> None:
        background = self.settings.background_label_id
        if self.settings.map_object_to_agnostic and background + 2 != self.classes:
            raise LayerError(
                f"map_object_to_agnostic needs num_classes: 2 and background_label_id: 0, not "
                f"{self.classes} and {background}",
                field=(_FIELD, "map_object_to_agnostic"),
            )
        logistic = self.settings.conf_loss_type == MultiBoxLossParameter.LOGISTIC
        if background >= self.classes and not logistic:
            raise LayerError(
                f"background_label_id {background} is no class: there are classes 0 to "
                f"{self.classes - 1}",
                field=(_FIELD, "background_label_id"),
            )

    def _judge_mining(self) -> None:
        mining = self.settings.mining_type
        self.mined = mining != MultiBoxLossParameter.NONE
        if self.settings.HasField("do_neg_mining") and self.settings.do_neg_mining != self.mined:
            raise LayerError(
                "do_neg_mining says otherwise than mining_type",
                field=(_FIELD, "do_neg_mining"),
                help="leave the older do_neg_mining out",
            )
        if self.mined and self.locations > 1:
            raise LayerError(
                "mining needs share_location: true", field=(_FIELD, "share_location"),
                help="or set mining_type: NONE",
            )  # fmt: skip
        if mining == MultiBoxLossParameter.HARD_EXAMPLE and self.settings.sample_size < 1:
            raise LayerError("sample_size must be at least 1", field=(_FIELD, "sample_size"))
        if not self.settings.neg_pos_ratio >= 0:
            raise LayerError("neg_pos_ratio must not be negative", field=(_FIELD, "neg_pos_ratio"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        priors = count_priors(bottom[2], 2)
        for number, size in enumerate((4 * self.locations, self.classes)):
            shape = bottom[number]
            if not shape or math.prod(shape[1:]) != priors * size:
                raise LayerError(
                    f"{shape_text(shape)} does not fit {priors} priors: "
                    f"N×{priors * size} ({priors} × {size}) is needed",
                    bottom=number,
                    help="see num_classes and share_location",
                )
        if bottom[0][0] != bottom[1][0]:
            raise LayerError(
                f"scores of {bottom[1][0]} images for locations in {bottom[0][0]}", bottom=1
            )
        if len(bottom[3]) < 3 or math.prod(bottom[3]) < bottom[3][2] * _TRUTH:
            raise LayerError(
                f"true boxes are 1×1×R×{_TRUTH}, not {shape_text(bottom[3])}", bottom=3
            )
        return [()]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        images, priors = bottom[0].shape[0], count_priors(bottom[2].shape, 2)
        settings, dtype = self.settings, bottom[0].dtype
        wanted = list(self.param.propagate_down) or [True, True]
        self.shape: dict[str, Any] = {
            "offsets": bottom[0].data, "scores": bottom[1].data, "prior": bottom[2].data,
            "truth": bottom[3].data, "match": np.zeros((images, self.locations, priors), np.int64),
            "negative": np.zeros((images, priors), np.uint8), "divisor": np.ones(1, dtype),
            "images": images, "priors": priors, "classes": self.classes,
            "locations": self.locations, "truths": bottom[3].shape[2],
            "background": settings.background_label_id,
            "use_difficult": settings.use_difficult_gt,
            "agnostic": settings.map_object_to_agnostic,
            "per_prediction": settings.match_type == MultiBoxLossParameter.PER_PREDICTION,
            "ignore_crossing": settings.ignore_cross_boundary_bbox,
            "inside_only": settings.bp_inside,
            "match_decoded": not settings.use_prior_for_matching,
            "mined": self.mined,
            "smooth": settings.loc_loss_type == MultiBoxLossParameter.SMOOTH_L1,
            "logistic": settings.conf_loss_type == MultiBoxLossParameter.LOGISTIC,
            "overlap": settings.overlap_threshold,
            "location_weight": settings.loc_weight * wanted[0], "class_weight": float(wanted[1]),
            "code": asdict(self.code),
        }  # fmt: skip
        self.decoded = None
        if not settings.use_prior_for_matching:
            self.decoded = np.zeros((images, priors, self.locations, 4), dtype)
        self.best_overlap = np.zeros((images, priors), dtype)
        self.bad = np.full(1, -1, np.int64)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.judge_truths(shape=self.shape, bad=self.bad)
        if self.decoded is not None:
            decode_boxes(bottom[0].data, bottom[2].data, self.code, self.decoded)
        kernels.match_boxes(shape=self.shape, decoded=self.decoded, best_overlap=self.best_overlap)
        if self.mined:
            kernels.mine_examples(
                shape=self.shape, best_overlap=self.best_overlap,
                hard_examples=self.settings.mining_type == MultiBoxLossParameter.HARD_EXAMPLE,
                sample_size=self.settings.sample_size,
                suppress=self.rule.overlap > 0, suppress_priors=self.settings.use_prior_for_nms,
                negatives_per_match=self.settings.neg_pos_ratio,
                negative_overlap=self.settings.neg_overlap,
                rule=self.rule.fields | {"least_area": 1e-5, "eta": 1.0},
            )  # fmt: skip
        kernels.multibox_loss(
            shape=self.shape, loss=top[0].data, normalization=self.normalization.mode
        )

    def judge(self, bottom: list[Blob]) -> None:
        if self.bad[0] >= 0:
            row = bottom[3].data.reshape(-1)[self.bad[0] * _TRUTH :]
            if np.isnan(row[:_TRUTH]).any() and not np.isnan(row[1]):
                raise LayerError(
                    f"true box {self.bad[0]} holds what is not a number", bottom=3, code="E208"
                )
            raise LayerError(
                f"true box {self.bad[0]} is of class {row[1]:g}, which is the background or none: "
                f"there are classes 0 to {self.classes - 1}, "
                f"{self.settings.background_label_id} the background",
                bottom=3,
                code="E208",
            )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0]:
            kernels.multibox_location_backward(shape=self.shape, dy=top[0].diff, dx=bottom[0].diff)
        if self.propagate_down[1]:
            kernels.multibox_class_backward(shape=self.shape, dy=top[0].diff, dx=bottom[1].diff)
