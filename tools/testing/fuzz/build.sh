#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh: builds the guest's program, static. Prints its path.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

folder=$(static_programs tools/testing/fuzz)
echo "$folder/fuzz"
