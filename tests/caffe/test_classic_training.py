"""Nets trained as people's pycaffe scripts do it again and again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest

import protonet.caffe as caffe
from protonet.caffe import layers as L
from protonet.caffe import params as P
from protonet.caffe.coord_map import crop
from protonet.caffe.proto import caffe_pb2

XAVIER = {"type": "xavier"}

pytestmark = pytest.mark.usefixtures("script_folder")


def written(name: str, net: object) -> str:
    Path(name).write_text(str(net))
    return name


def lenet(batch: int) -> caffe_pb2.NetParameter:
    n = caffe.NetSpec()
    n.data, n.label = L.Data(
        batch_size=batch, backend=P.Data.LMDB, source="digits_lmdb", ntop=2,
        transform_param={"scale": 1 / 255, "mean_file": "mean.binaryproto"},
    )  # fmt: skip
    n.conv1 = L.Convolution(n.data, kernel_size=3, num_output=4, weight_filler=XAVIER)
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.fc1 = L.InnerProduct(n.pool1, num_output=16, weight_filler=XAVIER)
    n.relu1 = L.ReLU(n.fc1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=4, weight_filler=XAVIER)
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


def pictures_of_quarters(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, one quarter of it brighter: which one is the label."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 120, (count, 1, 10, 10))
    labels = random.integers(0, 4, count)
    for picture, label in zip(pictures, labels, strict=True):
        top, left = 5 * (label // 2), 5 * (label % 2)
        picture[0, top : top + 5, left : left + 5] += 130
    return pictures.astype(np.uint8), labels


def test_lenet_is_trained_step_by_step_from_a_database() -> None:
    pictures, labels = pictures_of_quarters(64)
    with lmdb.open("digits_lmdb", map_size=2**24) as database, database.begin(write=True) as put:
        for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            datum = caffe_pb2.Datum()
            datum.channels, datum.height, datum.width = picture.shape
            datum.data = picture.tobytes()
            datum.label = int(label)
            put.put(f"{index:08}".encode(), datum.SerializeToString())
    mean = caffe.io.array_to_blobproto(pictures.mean(axis=0)[np.newaxis])
    Path("mean.binaryproto").write_bytes(mean.SerializeToString())

    s = caffe_pb2.SolverParameter()
    s.random_seed = 0xCAFFE
    s.train_net = written("train.prototxt", lenet(16))
    s.test_net.append(written("test.prototxt", lenet(32)))
    s.test_interval, s.max_iter, s.display = 500, 10000, 1000
    s.test_iter.append(2)
    s.type, s.base_lr, s.momentum, s.weight_decay = "SGD", 0.05, 0.75, 5e-4
    s.lr_policy, s.gamma, s.power = "inv", 0.0001, 0.75
    s.snapshot_prefix, s.solver_mode = "lenet", caffe_pb2.SolverParameter.GPU
    solver = caffe.get_solver(written("solver.prototxt", s))

    losses, outputs = np.zeros(40), np.zeros((40, 8, 4))
    solver.test_nets[0].forward()
    for iteration in range(40):
        solver.step(1)
        losses[iteration] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="conv1")  # the same pictures again
        outputs[iteration] = solver.test_nets[0].blobs["score"].data[:8]
    assert losses[-5:].mean() < 0.2 * losses[:5].mean()
    test = solver.test_nets[0]
    right = 0
    for _ in range(2):
        test.forward()
        right += (test.blobs["score"].data.argmax(1) == test.blobs["label"].data).sum()
    assert right >= 60
    assert (outputs[-1].argmax(1) == labels[:8]).mean() > 0.8


DATA = '''
import caffe
import numpy as np


class Labelled(caffe.Layer):
    """Pictures that are as bright as many labels are set."""

    def setup(self, bottom, top):
        self.__dict__.update(eval(self.param_str))
        self.random = np.random.default_rng(self.seed)
        top[0].reshape(self.batch_size, 3, *self.im_shape)
        top[1].reshape(self.batch_size, 5)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        for item in range(self.batch_size):
            labels = (self.random.random(5) > 0.5).astype(np.float32)
            top[0].data[item, ...] = self.random.normal(0, 0.1, (3, *self.im_shape))
            top[0].data[item, 0, 0, :5] += labels
            top[1].data[item, ...] = labels

    def backward(self, top, propagate_down, bottom):
        pass


class EuclideanLoss(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.0

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * top[0].diff * self.diff / bottom[i].num


class Segmented(caffe.Layer):
    """One picture a pass, each of another size; a label a pixel, some of them 255."""

    def setup(self, bottom, top):
        self.index = 0

    def reshape(self, bottom, top):
        random = np.random.default_rng(self.index)
        height, width = 24 + 4 * self.index, 33 - 3 * self.index
        coarse = np.kron(random.normal(size=(3, 6, 5)), np.ones((8, 8)))
        self.data = coarse[:, :height, :width] + random.normal(0, 0.1, (3, height, width))
        self.label = self.data[:1] > 0
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, *self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.label
        top[1].data[..., :2] = 255
        self.index = (self.index + 1) % 4

    def backward(self, top, propagate_down, bottom):
        pass
'''


@pytest.fixture
def classes(request: pytest.FixtureRequest) -> Callable[[str], dict[str, str]]:
    """Python layers in a module of their own; gives what a net says to name one."""
    module = f"classic_{request.node.name}"
    Path(f"{module}.py").write_text(DATA)
    return lambda name: {"module": module, "layer": name}


def test_several_labels_a_picture_are_learned_from_python_layers(
    classes: Callable[[str], dict[str, str]],
) -> None:
    def net(seed: int) -> caffe_pb2.NetParameter:
        n = caffe.NetSpec()
        settings = {"batch_size": 16, "im_shape": (6, 8), "seed": seed}
        n.data, n.label = L.Python(**classes("Labelled"), param_str=repr(settings), ntop=2)
        n.score = L.InnerProduct(n.data, num_output=5, weight_filler=XAVIER)
        n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
        n.guess = L.Sigmoid(n.score)
        n.distance = L.Python(n.guess, n.label, **classes("EuclideanLoss"), loss_weight=0.5)
        return n.to_proto()

    settings = {
        "train_net": f'"{written("train.prototxt", net(1))}"', "test_iter": "4",
        "test_net": f'"{written("val.prototxt", net(2))}"', "test_interval": "1000",
        "base_lr": "0.3", "lr_policy": '"fixed"', "momentum": "0.9", "snapshot_prefix": '"many"',
    }  # fmt: skip
    text = "\n".join(f"{name}: {value}" for name, value in settings.items())
    solver = caffe.SGDSolver(written("solver.prototxt", text))
    solver.test_nets[0].share_with(solver.net)
    solver.step(1)

    def accuracy(net: caffe.Net) -> float:
        net.forward()
        return float(((net.blobs["score"].data > 0) == net.blobs["label"].data).mean())

    before = accuracy(solver.test_nets[0])
    solver.step(80)
    assert accuracy(solver.test_nets[0]) > max(0.95, before)
    assert solver.net.blobs["distance"].data[0] < 0.3


def segmentation(source: dict[str, str]) -> caffe_pb2.NetParameter:
    def conv_relu(bottom: object, outputs: int, size: int = 3, pad: int = 1) -> tuple:
        conv = L.Convolution(
            bottom, kernel_size=size, num_output=outputs, pad=pad, weight_filler={"type": "msra"},
            param=[{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}],
        )  # fmt: skip
        return conv, L.ReLU(conv, in_place=True)

    def upsampled(bottom: object, factor: int) -> object:
        settings = {
            "num_output": 2,
            "kernel_size": 2 * factor,
            "stride": factor,
            "bias_term": False,
        }
        return L.Deconvolution(bottom, convolution_param=settings, param=[{"lr_mult": 0}])

    n = caffe.NetSpec()
    n.data, n.label = L.Python(**source, ntop=2)
    n.conv1, n.relu1 = conv_relu(n.data, 4, pad=12)
    n.pool1 = L.Pooling(n.relu1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.conv2, n.relu2 = conv_relu(n.pool1, 6)
    n.pool2 = L.Pooling(n.relu2, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.fc6, n.relu6 = conv_relu(n.pool2, 8, 4, 0)
    n.drop6 = L.Dropout(n.relu6, dropout_ratio=0.5, in_place=True)
    n.score_fr = L.Convolution(n.drop6, num_output=2, kernel_size=1)
    n.upscore2 = upsampled(n.score_fr, 2)
    n.score_pool1 = L.Convolution(n.pool1, num_output=2, kernel_size=1, weight_filler=XAVIER)
    n.score_pool1c = crop(n.score_pool1, n.upscore2)
    n.fused = L.Eltwise(n.upscore2, n.score_pool1c, operation=P.Eltwise.SUM)
    n.upscore = upsampled(n.fused, 2)
    n.score = crop(n.upscore, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param={"ignore_label": 255})
    return n.to_proto()


def interpolate(net: caffe.Net, layers: list[str]) -> None:
    """Makes upsampling bilinear, channel by channel."""
    for name in layers:
        outputs, inputs, height, width = net.params[name][0].data.shape
        assert (outputs, height) == (inputs, width)
        factor = (height + 1) // 2
        centre = factor - 1 if height % 2 else factor - 0.5
        rows, columns = np.ogrid[:height, :width]
        weights = (1 - abs(rows - centre) / factor) * (1 - abs(columns - centre) / factor)
        net.params[name][0].data[range(outputs), range(inputs), :, :] = weights


def test_a_net_for_every_pixel_is_trained_on_pictures_of_all_sizes(
    classes: Callable[[str], dict[str, str]],
) -> None:
    caffe.set_random_seed(1)
    written("net.prototxt", segmentation(classes("Segmented")))
    base = caffe.Net("net.prototxt", caffe.TEST)
    base.save("base.caffemodel")
    text = 'train_net: "net.prototxt" test_net: "net.prototxt" test_iter: 4 test_interval: 99999'
    text += ' lr_policy: "fixed" base_lr: 0.1 momentum: 0.9 test_initialization: false'
    solver = caffe.SGDSolver(written("solver.prototxt", text))
    solver.net.copy_from("base.caffemodel")
    upsampling = [name for name in solver.net.params if "up" in name]
    assert upsampling == ["upscore2", "upscore"]
    interpolate(solver.net, upsampling)
    kept = solver.net.params["upscore"][0].data.copy()

    def right(net: caffe.Net) -> float:
        table = np.zeros((2, 2))
        for _ in range(4):
            net.forward()
            wanted, found = net.blobs["label"].data[0, 0], net.blobs["score"].data[0].argmax(0)
            assert net.blobs["score"].data.shape[2:] == net.blobs["data"].data.shape[2:]
            assert net.blobs["score"].channels == len(table)
            for row in (0, 1):
                table[row] += np.bincount(found[wanted == row], minlength=2)
        return float(np.diag(table).sum() / table.sum())

    solver.test_nets[0].share_with(solver.net)
    before = right(solver.test_nets[0])
    solver.step(120)
    after = right(solver.test_nets[0])
    assert after > max(0.7, before)
    np.testing.assert_array_equal(solver.net.params["upscore"][0].data, kept)


# ---- several GPUs


def solve(rank: int, solvers: int, seen: list[str]) -> caffe.SGDSolver:
    """What each of the processes does that a script starts, one for each GPU."""
    caffe.set_mode_gpu()
    caffe.set_device(rank)
    caffe.set_solver_count(solvers)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    solver = caffe.SGDSolver("solver.prototxt")
    group = caffe.NCCL(solver, caffe.NCCL.new_uid())
    group.bcast()
    timers = [caffe.Timer() for _ in solver.net.layers]
    total = caffe.Timer()
    solver.net.before_forward(lambda layer: timers[layer].start())
    solver.net.after_forward(lambda layer: timers[layer].stop())
    solver.add_callback(lambda: total.start(), lambda: total.stop())
    solver.add_callback(group)
    solver.add_callback("", lambda: seen.append(f"{solver.iter} {total.ms > 0}"))
    if solver.param.layer_wise_reduce:
        solver.net.after_backward(group)
    solver.step(solver.param.max_iter)
    assert all(timer.ms > 0 for timer in timers)
    return solver


def test_solvers_for_several_gpus_train_and_the_first_one_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("protonet.caffe.processors._told", True)
    monkeypatch.setattr("protonet.caffe.processors._solvers", {"count": 1, "rank": 0})
    monkeypatch.setenv("GLOG_minloglevel", "0")
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(shape=[{"dim": [4, 6]}, {"dim": 4}], ntop=2)
    n.score = L.InnerProduct(n.data, num_output=2, weight_filler=XAVIER)
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    written("net.prototxt", n.to_proto())
    settings = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 display: 1'
    settings += ' snapshot: 2 snapshot_prefix: "gpu" test_iter: 1 test_interval: 2'
    written("solver.prototxt", settings)
    for rank, told, stored in ((1, "", 0), (0, "Testing net (#0)", 2)):
        seen: list[str] = []
        assert solve(rank, 2, seen).iter == 3
        assert seen == ["0 True", "1 True", "2 True"]
        log = capsys.readouterr().err
        assert told in log if told else log == ""
        assert len(list(Path().glob("gpu_iter_2.*"))) == stored
