# SPDX-License-Identifier: LGPL-2.1-or-later
# Debian packages: `cmake --preset package && cmake --build --preset package` leaves them in build/package/packages.
#   libk2k-registry0      the shared library
#   libk2k-registry-dev   header, static library, k2k-registry.pc, CMake package
#   k2k-tools             the programs, units, sysusers.d, tmpfiles.d
#   k2k-fleet             k2k-fleetctl, k2k-fleetd and its unit, which need libpq; only if they are built
#   python3-k2k-registry  the library from Python
# Files that are installed without a COMPONENT go to k2k-tools.
set(K2K_PACKAGE_MAINTAINER "k2k-registry maintainers <maintainers@k2k-registry.invalid>" CACHE STRING
  "who answers for the packages, as Name <address>")

set(here ${CMAKE_CURRENT_LIST_DIR}/debian)
set(made ${PROJECT_BINARY_DIR}/packaging)
set(library libk2k-registry${PROJECT_VERSION_MAJOR})
set(version ${PROJECT_VERSION}-1)

# ---- changelog and copyright of each package, compressed without a time, so that the same sources make the same files
find_program(GZIP gzip REQUIRED)
set(components library dev tools python)
set(pairs library:${library} dev:libk2k-registry-dev tools:k2k-tools python:python3-k2k-registry)
if(TARGET k2k-fleetd)
  list(APPEND components fleet)
  list(APPEND pairs fleet:k2k-fleet)
endif()
foreach(pair IN LISTS pairs)
  string(REGEX REPLACE ":.*" "" component ${pair})
  string(REGEX REPLACE ".*:" "" package ${pair})
  file(MAKE_DIRECTORY ${made}/${package})
  configure_file(${here}/changelog.in ${made}/${package}/changelog.Debian @ONLY)
  execute_process(COMMAND ${GZIP} -9nkf ${made}/${package}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${made}/${package}/changelog.Debian.gz ${here}/copyright
    DESTINATION share/doc/${package} COMPONENT ${component})
endforeach()
file(STRINGS ${made}/${library}/changelog.Debian first LIMIT_COUNT 1)
if(NOT first MATCHES "\\(${version}\\)")
  message(FATAL_ERROR "${here}/changelog.in begins with '${first}', not with ${version}")
endif()

# ---- units and what they need
set(units k2k-registry@.service k2k-registry-save@.service k2k-registry-snapshot@.service k2k-registry-snapshot@.timer
  k2k-registry-apply@.service k2k-auditd@.service k2k-exporter@.service k2k-broker@.service k2k-broker@.socket)
file(READ ${CMAKE_CURRENT_LIST_DIR}/units/hardening.conf hardening)
string(STRIP "${hardening}" hardening)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/units/hardening.conf)
foreach(unit IN LISTS units)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/units/${unit}.in ${made}/${unit} @ONLY)
  install(FILES ${made}/${unit} DESTINATION lib/systemd/system COMPONENT tools)
endforeach()
if(TARGET k2k-fleetd)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/units/k2k-fleetd@.service.in ${made}/k2k-fleetd@.service @ONLY)
  install(FILES ${made}/k2k-fleetd@.service DESTINATION lib/systemd/system COMPONENT fleet)
endif()
list(JOIN units " " units)
configure_file(${here}/postinst.in ${made}/postinst @ONLY)
configure_file(${here}/postrm.in ${made}/postrm @ONLY)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/units/k2k.sysusers DESTINATION lib/sysusers.d RENAME k2k.conf COMPONENT tools)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/units/k2k.tmpfiles DESTINATION lib/tmpfiles.d RENAME k2k.conf COMPONENT tools)

# ---- the Python module, in the folder that Debian's Python searches, with metadata for pip and importlib.metadata
set(python lib/python3/dist-packages)
set(binding ${PROJECT_SOURCE_DIR}/lib/bindings/python)
file(WRITE ${made}/METADATA "Metadata-Version: 2.1\nName: k2k-registry\nVersion: ${PROJECT_VERSION}\n")
file(WRITE ${made}/INSTALLER "debian\n")
install(DIRECTORY ${binding}/k2k_registry DESTINATION ${python} COMPONENT python
  FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
install(FILES ${made}/METADATA ${made}/INSTALLER DESTINATION ${python}/k2k_registry-${PROJECT_VERSION}.dist-info
  COMPONENT python)

# ---- control files: dpkg-shlibdeps reads symbols and shlibs for other packages, the trigger runs ldconfig
configure_file(${here}/symbols.in ${made}/symbols @ONLY)
file(WRITE ${made}/shlibs "libk2k-registry ${PROJECT_VERSION_MAJOR} ${library} (>= ${PROJECT_VERSION})\n")
file(WRITE ${made}/triggers "activate-noawait ldconfig\n")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGE_NAME k2k-registry)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${K2K_PACKAGE_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# the first line of each description is its synopsis
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(about "GPU message brokers run as several processes on one host and serve many
tenants. The registry answers all of them from shared memory: who may send
now, whose budget is left, and whom to bill. Limits are exact over all
processes, and a process killed anywhere blocks nobody.
")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "multi-process tenant registry for GPU brokers (shared library)\n${about}\nThis package has the shared library.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${made}/symbols ${made}/shlibs ${made}/triggers)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libk2k-registry-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_DESCRIPTION "multi-process tenant registry for GPU brokers (development files)\n${about}\nThis package has the header, the static library, and what pkg-config and\nCMake need.")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${library} (= ${version})")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME k2k-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "multi-process tenant registry for GPU brokers (programs)\n${about}\nThis package has the admin tool k2k-tenantctl, a reference broker,\nthe exporter of metrics, the keeper of the audit trail, and units.")
# besides the libraries of its programs: what creates the accounts of its units, and what enables units
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${library} (>= ${PROJECT_VERSION}), passwd, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS systemd)
set(CPACK_DEBIAN_TOOLS_PACKAGE_CONTROL_EXTRA ${made}/postinst ${here}/prerm ${made}/postrm)

set(CPACK_DEBIAN_FLEET_PACKAGE_NAME k2k-fleet)
set(CPACK_DEBIAN_FLEET_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_FLEET_DESCRIPTION "multi-process tenant registry for GPU brokers (many hosts)\n${about}\nThis package is for many hosts, whose definitions and bill are in a PostgreSQL\ndatabase: the admin tool k2k-fleetctl, the agent k2k-fleetd, and its unit.")
set(CPACK_DEBIAN_FLEET_PACKAGE_DEPENDS "${library} (>= ${PROJECT_VERSION}), init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_FLEET_PACKAGE_RECOMMENDS "k2k-tools, systemd")
set(CPACK_DEBIAN_FLEET_PACKAGE_CONTROL_EXTRA ${here}/fleet/postinst ${here}/fleet/prerm ${here}/fleet/postrm)

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-k2k-registry)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_DESCRIPTION "multi-process tenant registry for GPU brokers (Python)\n${about}\nThis package has the module k2k_registry, with its types.")
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "${library} (>= ${PROJECT_VERSION}), python3 (>= 3.9)")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS OFF)
# compiled at installation; the compiled files are removed with the package
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${here}/python/postinst ${here}/python/prerm)

include(CPack)
