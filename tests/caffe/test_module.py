"""The functions of the module itself."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from importlib import import_module

import pytest

import protonet.caffe as caffe
from protonet.caffe import processors


def test_layer_types_are_listed() -> None:
    types = caffe.layer_type_list()
    assert {"Data", "Convolution", "InnerProduct", "Python", "SoftmaxWithLoss"} <= set(types)
    assert types == sorted(types)


OFFERED = {
    "": """AdaDeltaSolver AdaGradSolver AdamSolver Classifier Detector Layer NCCL NesterovSolver Net
        NetSpec RMSPropSolver SGDSolver TEST TRAIN Timer __version__ _caffe classifier detector
        get_solver has_nccl init_log io layer_type_list layers log net_spec params proto pycaffe
        set_device set_mode_cpu set_mode_gpu set_multiprocess set_random_seed set_solver_count
        set_solver_rank solver_count solver_rank to_proto""",
    "_caffe": """AdaDeltaSolver AdaGradSolver AdamSolver Blob BlobVec BoolVec DtypeVec IntVec Layer
        LayerParameter LayerVec NCCL NesterovSolver Net NetVec RMSPropSolver RawBlobVec SGDSolver
        Solver SolverParameter StringVec Timer get_solver layer_type_list""",
    "coord_map": """AxisMismatchException UndefinedMapException PASS_THROUGH_LAYERS compose
        conv_params coord_map coord_map_from_to crop crop_params inverse""",
    "draw": """choose_color_by_layertype draw_net draw_net_to_file get_edge_label get_layer_label
        get_layer_lr_mult get_pooling_types_dict get_pydot_graph""",
    "io": """Transformer array_to_blobproto array_to_datum arraylist_to_blobprotovector_str
        blobproto_to_array blobprotovector_str_to_arraylist datum_to_array load_image oversample
        resize_image""",
    "net_spec": """Function Layers NetSpec Parameters Top assign_proto layers param_name_dict params
        to_proto""",
    "proto.caffe_pb2": """AccuracyParameter ArgMaxParameter BatchNormParameter BiasParameter
        BlobProto BlobProtoVector BlobShape ConcatParameter ContrastiveLossParameter
        ConvolutionParameter
        CropParameter DataParameter Datum DropoutParameter DummyDataParameter ELUParameter
        EltwiseParameter EmbedParameter ExpParameter FillerParameter FlattenParameter
        HDF5DataParameter HDF5OutputParameter HingeLossParameter ImageDataParameter
        InfogainLossParameter InnerProductParameter InputParameter LRNParameter LayerParameter
        LogParameter LossParameter MVNParameter MemoryDataParameter NetParameter NetState
        NetStateRule PReLUParameter ParamSpec ParameterParameter Phase PoolingParameter
        PowerParameter PythonParameter ReLUParameter RecurrentParameter ReductionParameter
        ReshapeParameter SPPParameter ScaleParameter SigmoidParameter SliceParameter
        SoftmaxParameter SolverParameter SolverState TEST TRAIN TanHParameter ThresholdParameter
        TileParameter TransformationParameter V0LayerParameter V1LayerParameter
        WindowDataParameter _LAYERPARAMETER _V1LAYERPARAMETER_LAYERTYPE""",
}


OF_OBJECTS = {
    "Net": """_backward _blob_loss_weights _blob_names _blobs _bottom_ids _forward _inputs
        _layer_names _outputs _set_input_arrays _top_ids after_backward after_forward backward
        before_backward before_forward blob_loss_weights blobs bottom_names clear_param_diffs
        copy_from forward forward_all forward_backward_all inputs layer_dict layers load_hdf5
        outputs params reshape save save_hdf5 set_input_arrays share_with top_names _batch""",
    "Blob": "channels count data diff height num reshape shape width",
    "BuiltInLayer": "blobs param_str phase reshape setup type",
    "SGDSolver": """add_callback apply_update iter net param restore share_weights snapshot solve
        step test_nets""",
    "Timer": "ms start stop",
    "NCCL": "bcast new_uid",
    "Transformer": """deprocess preprocess set_channel_swap set_input_scale set_mean set_raw_scale
        set_transpose inputs transpose channel_swap raw_scale mean input_scale""",
    "Classifier": "predict transformer image_dims crop_dims",
    "Detector": """configure_crop crop detect_selective_search detect_windows transformer crop_dims
        crop_mean context_pad""",
}


@pytest.mark.parametrize("place", OFFERED)
def test_nothing_that_pycaffe_offers_is_missing(place: str) -> None:
    module = import_module(f"protonet.caffe.{place}".rstrip("."))
    assert [name for name in OFFERED[place].split() if not hasattr(module, name)] == []


def test_nothing_that_pycaffes_objects_offer_is_missing(
    solver_file: str, deploy_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "_told", True)
    solver = caffe.SGDSolver(solver_file)
    net = caffe.Net(deploy_file, caffe.TEST)
    made = (
        solver, net, net.blobs["data"], net.layers[1], caffe.Timer(), caffe.NCCL(solver, b""),
        caffe.io.Transformer({}), caffe.Classifier(deploy_file, None),
        caffe.Detector(deploy_file, None),
    )  # fmt: skip
    assert {type(one).__name__ for one in made} == set(OF_OBJECTS)
    for one in made:
        wanted = OF_OBJECTS[type(one).__name__].split()
        assert [name for name in wanted if not hasattr(one, name)] == []


def test_what_needs_no_import_of_its_own_is_there_at_once() -> None:
    code = "import protonet.caffe as c; c.io, c._caffe, c.pycaffe, c.net_spec, c.proto.caffe_pb2"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_phases_are_caffes_numbers() -> None:
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.__version__ == "1.0.0"


def test_calls_for_a_gpu_warn_once_and_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_told", False)
    with pytest.warns(UserWarning, match="computes on the CPU"):
        caffe.set_mode_gpu()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caffe.set_device(0)
        caffe.NCCL(None, caffe.NCCL.new_uid()).bcast()
        caffe.set_mode_cpu()
    assert not caffe.has_nccl()
    assert isinstance(caffe.NCCL.new_uid(), bytes)
    assert caffe.NCCL.new_uid() != caffe.NCCL.new_uid()


def test_several_solvers_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_solvers", {"count": 1, "rank": 0})
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    caffe.set_solver_count(4)
    caffe.set_solver_rank(2)
    caffe.set_multiprocess(True)
    assert (caffe.solver_count(), caffe.solver_rank()) == (4, 2)


def test_log_lines_have_glogs_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.glog._least", None)
    caffe.init_log()
    caffe.log("here")
    assert capsys.readouterr().err.endswith("] here\n")
    caffe.init_log(1)
    caffe.log("not here")
    assert capsys.readouterr().err == ""


def test_a_timer_gives_milliseconds() -> None:
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.002)
    timer.stop()
    first = timer.ms
    assert first >= 2
    assert timer.ms == first


SUBMODULES = """
import sys
import protonet.caffe
{bind}
import caffe
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from caffe.pycaffe import Net
assert caffe is protonet.caffe
assert caffe.pycaffe is sys.modules["caffe.pycaffe"]
assert caffe.pycaffe.__name__ == "protonet.caffe.pycaffe"
assert caffe_pb2.NetParameter is caffe.io.caffe_pb2.NetParameter
assert Net is caffe.Net
try:
    import caffe.nothing
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize("bind", ["protonet.caffe.bind()", "sys.modules['caffe'] = protonet.caffe"])
def test_submodules_are_the_same_under_both_names(bind: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SUBMODULES.format(bind=bind)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "No module named 'caffe.nothing'\n"


def test_another_caffe_is_not_pushed_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", warnings)
    with pytest.raises(ImportError, match="another caffe"):
        caffe.bind()
