# SPDX-License-Identifier: MIT
# cmake -D NAME=<variable> -D INPUT=<file> -D OUTPUT=<file.cpp> -P embed.cmake
# Writes a source file that defines explore::embedded::<variable> as the content of INPUT, or as empty without INPUT.
# Numbers, not a string literal: compilers limit the length of those.
set(numbers "")
if(INPUT)
  file(READ ${INPUT} numbers HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," numbers "${numbers}")
endif()
file(WRITE ${OUTPUT} "#include \"embedded.hpp\"
namespace explore::embedded {
namespace {
constexpr unsigned char bytes[] = {${numbers}0};
}
extern const std::string_view ${NAME}(reinterpret_cast<const char*>(bytes), sizeof bytes - 1);
}
")
