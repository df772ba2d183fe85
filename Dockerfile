# One image for every component: `orrery apiserver`, `orrery scheduler`, … are the same program.
#
# The second stage starts from nothing, so there is no shell, no package manager and no file that the program does not
# need. It works with BuildKit and with the classic builder.

FROM rust:1.95-slim-bookworm AS build
# `release`, or `dev` where the build's time matters more than the program's speed (CI).
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN cargo build --locked --profile ${PROFILE} --bin orrery
# The program with the shared libraries that it names, wherever this architecture keeps them.
RUN set -eu; \
    mkdir -p /rootfs/etc /writable/data; \
    directory=${PROFILE}; [ "$directory" = dev ] && directory=debug; \
    cp "target/$directory/orrery" /rootfs/orrery; \
    ldd /rootfs/orrery | grep -o '/[^ ]*' | sort -u | while read -r library; do \
        mkdir -p "/rootfs$(dirname "$library")"; cp -L "$library" "/rootfs$library"; \
    done; \
    echo 'orrery:x:65532:65532::/data:/sbin/nologin' > /rootfs/etc/passwd; \
    echo 'orrery:x:65532:' > /rootfs/etc/group

FROM scratch
COPY --from=build /rootfs /
# A new volume takes the owner of the directory that it covers. Only what a COPY creates gets the owner it names, so the
# directory comes in a step of its own.
COPY --from=build --chown=65532:65532 /writable /
USER 65532:65532
ENTRYPOINT ["/orrery"]
CMD ["--help"]
