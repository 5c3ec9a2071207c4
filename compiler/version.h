// The version of the compiler, which generated files carry.
#pragma once
#define CNNC_VERSION "0.1.0"
