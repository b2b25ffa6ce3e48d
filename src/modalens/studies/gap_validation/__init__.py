"""Do scores follow a gap that is closed by known means?"""
