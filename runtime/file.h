// Whole files: read at once, or written so that a reader sees all of the new one or all of the old one.
#ifndef CNNC_RUNTIME_FILE_H
#define CNNC_RUNTIME_FILE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cnnc::runtime {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t largest_file = std::uint64_t(1) << 36; // bytes: 64 GiB

// The first part of every temporary file's name; a run's folder removes left-over ones.
constexpr const char *temporary_prefix = ".cnnc-tmp-";

// Reads a regular file. Throws SystemError (missing, not readable) or InputError (above `most` bytes).
Bytes read_file(const std::string &path, std::uint64_t most = largest_file);
std::string read_text(const std::string &path, std::uint64_t most = std::uint64_t(1) << 26);

// Writes a file whole: temporary file in the same folder, fsync, rename, fsync of the folder. On failure the
// temporary file is removed, the old file stays, and SystemError names the file and the reason.
void write_file(const std::string &path, const void *data, std::size_t size);
void write_file(const std::string &path, std::string_view text);

bool file_exists(const std::string &path);

// The path with `name` below `folder`.
std::string join(const std::string &folder, const std::string &name);

} // namespace cnnc::runtime
#endif
