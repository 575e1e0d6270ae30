# SPDX-License-Identifier: MIT
# Header-only, so everything goes to architecture-independent places and the version file ignores pointer sizes.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_DATADIR}/cmake/sparq)
install(TARGETS sparq sparq_print EXPORT sparqTargets FILE_SET HEADERS)
install(EXPORT sparqTargets NAMESPACE sparq:: DESTINATION ${package_directory})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/sparqConfig.cmake.in ${PROJECT_BINARY_DIR}/sparqConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/sparqConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/sparqConfig.cmake ${PROJECT_BINARY_DIR}/sparqConfigVersion.cmake
  DESTINATION ${package_directory})

# The .pc file finds its prefix from its own place, so that the tree may be moved.
set(pkgconfig_directory ${CMAKE_INSTALL_DATADIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc /${pkgconfig_directory} /)
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/sparq.pc.in ${PROJECT_BINARY_DIR}/sparq.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sparq.pc DESTINATION ${pkgconfig_directory})
