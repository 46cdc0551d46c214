#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh: builds the program, static, so that it runs in a guest too. Prints
# its path.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

folder=$(static_programs tools/testing/differential)
echo "$folder/differential"
