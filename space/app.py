"""The Space: the page that comes with the package. The variable YAMNET_CRY_MODEL names another model."""

from yamnet_cry.space import build, serve

if __name__ == "__main__":
    serve(build())
