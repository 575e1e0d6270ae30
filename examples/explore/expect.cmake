# SPDX-License-Identifier: MIT
# cmake -D PROGRAM=<explore> -D FOLDER=<scratch> -D HTML=<0 or 1> -P expect.cmake
# What explore does with wrong input: one sentence, the right exit code, no report. And that a report survives being
# written and read.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
file(WRITE ${FOLDER}/text.npy "these are no weights")
file(WRITE ${FOLDER}/outside.smtx "2, 4, 1\n0 1 1\n9\n")
file(WRITE ${FOLDER}/zero.mtx "%%MatrixMarket matrix array real general\n1 2\n0\n0\n")
file(WRITE ${FOLDER}/cut.json "{\"schema\": \"sparq explore\",")
file(WRITE ${FOLDER}/other.json "{\"schema\": \"sparq explore\", \"schema_version\": 0}")

# refused(<exit code> <regular expression of the sentence> <arguments>...)
function(refused code sentence)
  execute_process(COMMAND ${PROGRAM} ${ARGN} --json report.json WORKING_DIRECTORY ${FOLDER}
    OUTPUT_VARIABLE printed ERROR_VARIABLE said RESULT_VARIABLE result)
  file(GLOB left ${FOLDER}/report*)
  if(NOT result EQUAL code OR NOT said MATCHES "^explore: [^\n]*${sentence}[^\n]*\n$" OR NOT printed STREQUAL "" OR left)
    message(FATAL_ERROR "explore ${ARGN}: expected exit code ${code} and \"${sentence}\", got ${result}, "
      "on stderr \"${said}\", on stdout \"${printed}\", files \"${left}\"")
  endif()
endfunction()

refused(2 "--sparsity \"1\\.5\"" --sparsity 0.5,1.5)
refused(2 "--sparsity \"nan\"" --sparsity nan)
refused(2 "--format \"bsr\": known are dense" --format bsr)
refused(2 "--format \"n_m<2,4\": known are" --format "csr,n_m<2,4")
refused(2 "--numeric \"s9\"" --numeric s9)
refused(2 "--m \"0\"" --m 0)
refused(2 "--m \"-3\"" --m -3)
refused(2 "--colour" --colour)
refused(2 "--shape 8x0x9 is not MxNxK" --shape 4x4x4,8x0x9)
refused(2 "leave the inputs out" --shape 4x4x4 --from-json cut.json)
refused(1 "--shape 1x99999x99999: the matrix is 99999 x 99999" --shape 1x99999x99999)
refused(2 "expected is a .smtx or .mtx" --csr text.npy)
refused(2 "leave the inputs out" text.npy --from-json cut.json)
refused(1 "missing.npy" missing.npy)
refused(1 "text.npy" --format csr text.npy)
refused(1 "outside.smtx.*columns\\[0\\] is 9" --csr outside.smtx)
refused(1 "zero.mtx: all weights are 0" --csr zero.mtx)
refused(1 "cut.json: is not JSON" --from-json cut.json)
refused(1 "other.json: has schema version 0" --from-json other.json)
if(HTML)
  refused(1 "nowhere/page.html" --html nowhere/page.html)
else()
  refused(2 "without Chart.js" --html nowhere/page.html)
endif()

# The network that docs/explore.md shows, beside weights with zeros, for which binary has no code; and what is wrong with
# its description.
file(WRITE ${FOLDER}/half.smtx "2, 4, 4\n0 2 4\n0 2 1 3\n")
execute_process(COMMAND ${PROGRAM} ${CMAKE_CURRENT_LIST_DIR}/one_layer --csr half.smtx --shape 3x16x8 --quick --format dense --numeric f32,binary
  WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed MATCHES "one layer, f32 dense: 4 of 4 outputs match" OR NOT printed MATCHES "3x16x8")
  message(FATAL_ERROR "the network of one layer or the generated one fails:\n${printed}")
endif()
file(COPY ${CMAKE_CURRENT_LIST_DIR}/one_layer DESTINATION ${FOLDER})

# refused_network(<text of its network.json> <what stands there instead> <regular expression of the sentence>)
function(refused_network text other sentence)
  file(READ ${CMAKE_CURRENT_LIST_DIR}/one_layer/network.json described)
  string(REPLACE "${text}" "${other}" described "${described}")
  file(WRITE ${FOLDER}/one_layer/network.json "${described}")
  refused(1 "${sentence}" one_layer)
endfunction()

refused_network("activation_min" "activation_mim" "ops\\[0\\].attrs has \"activation_mim\"")
refused_network("\"n\": 4" "\"n\": 0" "data.n is 0")
refused_network("16], \"dtype\": \"float32\"}" "16], \"dtype\": \"int8\", \"scale\": [1], \"zero_point\": [128]}"
  "tensors\\[0\\].zero_point\\[0\\] is 128, not an integer from -128 to 127")

# lines_fit(<text>): a terminal of 80 columns
function(lines_fit text)
  string(REGEX REPLACE "[][;]" "." text "${text}")
  string(REPLACE "\n" ";" lines "${text}")
  foreach(line IN LISTS lines)
    string(LENGTH "${line}" columns)
    if(columns GREATER 80)
      message(FATAL_ERROR "${columns} columns, not 80, has\n${line}")
    endif()
  endforeach()
endfunction()

execute_process(COMMAND ${PROGRAM} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
lines_fit("${help}")

# A report with one of everything; the name of the layer would end a script element if it were not escaped.
file(WRITE ${FOLDER}/one.json [[{"schema": "sparq explore", "schema_version": 1, "date": "2000-01-01T00:00:00Z", "cpu_share": 0.25,
 "machine": {"cpu": "c", "isa": "i", "compiler": "g", "flags": "", "commit": "0", "caches": [{"name": "L1d", "bytes": 1}],
  "dot_gmacs": 2, "fma_gmacs": 1, "read_bandwidths": [{"level": "L1d", "gb_per_second": 9.5}], "seed": 18446744073709551615},
 "layers": [{"name": "</script>", "m": 1, "n": 2, "k": 3, "kind": "gemm", "source": "s", "given_sparsity": 0.1}],
 "measurements": [
  {"layer": 0, "format": "dense", "numeric": "f32", "target_sparsity": 0, "sparsity": 0, "bytes": 24,
   "bytes_per_weight": 4, "sqnr_db": null, "max_error": 0, "pack_seconds": 1e-9, "hot_seconds": 1e-6, "gmacs": 0.006,
   "vs_dense": 1, "of_peak": 0.006, "kernel": "rows", "note": ""},
  {"layer": 0, "format": "csr", "numeric": "f32", "target_sparsity": 0.5, "sparsity": 0.5, "bytes": 20,
   "bytes_per_weight": 3.3, "sqnr_db": 3.01, "max_error": 0.3, "pack_seconds": 1e-9, "hot_seconds": 5e-7,
   "rotating_seconds": 6e-7, "gmacs": 0.012, "vs_dense": 2, "vs_dense_rotating": 1.9, "of_peak": 0.006,
   "slot_efficiency": 0.75, "kernel": "columns", "note": "n"}],
 "break_evens": [{"layer": 0, "format": "csr", "numeric": "f32", "sparsity": 0.5, "at_most": true}],
 "omissions": [{"layer": 0, "format": "csr", "numeric": "s8", "reason": "r"}],
 "networks": [{"name": "n", "variant": "v", "inputs": 1, "matches": 1, "of": 1, "top1_correct": 1, "labelled": 1,
  "bytes": 9, "seconds_per_input": 1, "note": ""}]}
]])
if(HTML)
  set(page --html page.html)
endif()
foreach(step IN ITEMS one:two two:three)
  string(REPLACE ":" ";" files ${step})
  list(GET files 0 from)
  list(GET files 1 to)
  execute_process(COMMAND ${PROGRAM} --from-json ${from}.json --json ${to}.json --csv ${to}.csv ${page} WORKING_DIRECTORY ${FOLDER}
    OUTPUT_VARIABLE printed RESULT_VARIABLE result COMMAND_ERROR_IS_FATAL ANY)
endforeach()
if(NOT printed MATCHES "csr wins: 2.00x dense f32 at 50 % zeros")
  message(FATAL_ERROR "the headline is missing in:\n${printed}")
endif()
if(NOT printed MATCHES "Do not rely on the speeds.*had the CPU for 25 % of the time")
  message(FATAL_ERROR "a disturbed measuring is not pointed out in:\n${printed}")
endif()
file(READ ${FOLDER}/one.json long)
string(REPLACE "\"csr\"" "\"tile_wise<128,n_m<2,4>>\"" long "${long}")
string(REPLACE "\"f32\"" "\"codebook<4>\"" long "${long}")
string(REPLACE "\"sparsity\": 0.5, \"bytes\"" "\"sparsity\": 0.625, \"bytes\"" long "${long}")
file(WRITE ${FOLDER}/long.json "${long}")
execute_process(COMMAND ${PROGRAM} --from-json long.json WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed MATCHES "> tile_wise<128,n_m<2,4>> 62.5 % codebook<4> +2.00x +1.90x")
  message(FATAL_ERROR "the table is missing in:\n${printed}")
endif()
lines_fit("${printed}")
file(READ ${FOLDER}/two.csv table)
if(NOT table MATCHES "\"</script>\",1,2,3,\"csr\",\"f32\",0.5,3.3,0.5,0.012,2,0.6,1.9,0.001,0.75,3.01,0.3,0.5,1")
  message(FATAL_ERROR "a line is missing in:\n${table}")
endif()
file(READ ${FOLDER}/two.json two)
file(READ ${FOLDER}/three.json three)
foreach(figure IN ITEMS "\"seed\": 18446744073709551615" "\"sqnr_db\": null" "\"sqnr_db\": 3.01" "\"slot_efficiency\": 0.75" "\"rotating_seconds\": 6e-07"
    "\"top1_correct\": 1" "\"at_most\": true" "\"reason\": \"r\"")
  string(FIND "${two}" "${figure}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${figure} was lost in:\n${two}")
  endif()
endforeach()
if(NOT two STREQUAL three)
  message(FATAL_ERROR "a report changes when it is read and written again")
endif()
if(HTML)
  file(READ ${FOLDER}/page.html text)
  if(NOT text MATCHES "\"name\": \"\\\\u003c/script>\"" OR text MATCHES "(src|href)=[\"']?(https?:)?//")
    message(FATAL_ERROR "the page is not self-contained, or a name breaks out of its script element")
  endif()
endif()
