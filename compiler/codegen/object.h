// What can be done with the bytes of an object.
#pragma once

#include <map>
#include <string>

struct cnnc_model;

namespace cnnc {

// Loads an object into this process through LLVM's ORC linker; it lives as long as the process. Returns the
// table that the object's function `<name>_model` gives. Throws GraphError.
// `symbols`: what the object needs beside the C library.
const cnnc_model *load_object(const std::string &object, const std::string &name, const std::map<std::string, void *> &symbols = {});

// A static library that holds the one object as `member`, with a symbol table and no dates.
std::string archive(const std::string &member, const std::string &object);

} // namespace cnnc
