// SPDX-License-Identifier: MIT
#include <sparq/io/file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

#include <filesystem>
#include <span>
#include <string>

using sparq::detail::read_file;
using sparq::detail::write_file;

namespace {

std::string text_of(const std::filesystem::path& path) {
  const auto content = read_file(path);
  if (!content) return content.error().message();
  return {reinterpret_cast<const char*>(content->data()), content->size()};
}

}  // namespace

TEST_CASE("file: what is written is read, head first, empty files too") {
  const sparq_test::temporary_folder folder;
  const auto path = folder.path() / "file";
  const std::string body("a\0b", 3);
  REQUIRE(write_file(path, "head ", std::as_bytes(std::span(body))).ok());
  CHECK(text_of(path) == "head " + body);
  REQUIRE(write_file(path, "", {}).ok());
  CHECK(text_of(path).empty());
  CHECK(folder.files() == 1);
}

TEST_CASE("file: files that cannot be read are named") {
  const sparq_test::temporary_folder folder;
  const auto path = folder.path() / "file";
  CHECK(text_of(path) == path.string() + ": there is no such file");
  CHECK(text_of(folder.path()) == folder.path().string() + ": this is not a regular file");
}

TEST_CASE("file: writing that fails leaves nothing behind and the old file alone") {
  const sparq_test::temporary_folder folder;
  CHECK(write_file(folder.path() / "absent" / "file", "text", {}).message() ==
        (folder.path() / "absent" / "file").string() + ": no file can be made in this folder");
  const auto taken = folder.path() / "taken";  // renaming over a folder that is not empty fails
  std::filesystem::create_directories(taken / "inside");
  CHECK_FALSE(write_file(taken, "text", {}).ok());
  CHECK(folder.files() == 1);
  CHECK(std::filesystem::is_directory(taken / "inside"));
}
