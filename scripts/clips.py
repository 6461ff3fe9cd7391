"""Public clips with two states or more, and when they are which: for scripts/tune-bench and taught-bench.

Times were read by eye from pictures half a second to two seconds apart. The prompts were written once, before
any result was looked at, and have not been changed since: the first is what is looked for.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ROAD = ["a car on a road seen from above", "an empty road seen from above"]
FLOOR = ["a person lying on the floor", "a person standing in a bedroom"]
STREET = ["a cyclist", "a bicycle on the pavement", "a taxi", "cars on a street", "a man in a suit"]
FRUIT = ["broccoli", "an apple", "a cauliflower", "an orange"]

# File, where it is from, prompts, timeline.
CLIPS = [
    ("car-detection.mp4", "intel-iot-devkit/sample-videos", ROAD, "4.5-8.5\n14.5-19\n25.5-27.8"),
    ("highway-topdown.avi", "andrewssobral/bgslibrary, dataset/video.avi", ROAD,
     "2-6\n~6-6.8\n6.8-8.7\n9.9-11.9"),
    ("porch-person-leaves.mkv", "ambianic/ambianic-edge, test2-cam-person1.mkv",
     ["a man on a front porch", "an empty front porch"], "0-3.2\n~3.2-4.3"),
    ("fall-s2-12.mp4", "GMDCSA24, Subject 2/Fall/12.mp4", FLOOR, "~6.9-8.4\n8.4-12.2"),
    ("fall-s2-13.mp4", "GMDCSA24, Subject 2/Fall/13.mp4", FLOOR, "~2.5-5\n5-8.8"),
    ("fall-s3-16.mp4", "GMDCSA24, Subject 3/Fall/16.mp4", FLOOR, "~1.8-2.7\n2.7-6"),
    ("bottle-detection.mp4", "intel-iot-devkit/sample-videos",
     ["a hand taking a plastic bottle", "plastic bottles in a row"],
     "6-7.3\n12-13.5\n16-17.5\n22-24.5\n27.5-29\n31-32.2\n35-36.5"),
    ("pour-coffee.mp4", "facebookresearch/sam2, 04_coffee.mp4",
     ["pouring coffee into a mug", "lifting a kettle over a mug"], "2.5-9.5"),
    ("fruit-and-vegetable-detection-preview.mp4", "intel-iot-devkit/sample-videos",
     [f"{thing} on a conveyor belt" for thing in FRUIT] + ["an empty conveyor belt"], "1.3-3"),
    ("mixed-cuts-shared.mp4", "eight clips of these sources, one after the other",
     ["a house on fire", "an empty road", "a woman with a dog", "pouring coffee into a mug",
      "a person sitting on a bed", "plastic bottles in a row"], "20-28"),
    ("bikes.mp4", "the demo's street", STREET, "4.4-5.4"),
    ("bikes.mp4", "the demo's street", [STREET[1], STREET[0], *STREET[2:]], "7.5-9.9"),
]


def path_of(name, folder):
    """The clip in the folder, or of the demo; None where it is in neither."""
    places = [Path(folder) / name, ROOT / ".runtime/demo" / name]
    return next((place for place in places if place.is_file()), None)
