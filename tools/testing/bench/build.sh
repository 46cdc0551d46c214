#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the two programs, static, and prints the folder that they are in.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

static_programs tools/testing/bench
