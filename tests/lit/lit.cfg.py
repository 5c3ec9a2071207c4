# Tests of what each stage prints and of every message. Run by tools/test.
import os

import lit.formats

config.name = "cnnc"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".test", ".dsl"]
config.excludes = ["Inputs"]
root = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
config.test_source_root = os.path.join(root, "tests", "lit")
config.test_exec_root = os.path.join(root, "build", "lit")
llvm = "/usr/lib/llvm-14/bin"
config.environment["PATH"] = os.pathsep.join([llvm, os.environ["PATH"]])
config.substitutions.append(("%cnnc", os.environ.get("CNNC", os.path.join(root, "build", "bin", "cnnc"))))
config.substitutions.append(("%models", os.path.join(root, "models")))
