"""The library's networks in other libraries; each module needs the one it is named after."""
